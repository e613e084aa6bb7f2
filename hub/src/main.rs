//! The program `vitistack-hub`.

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let _arguments = vitistack_hub::args::Arguments::parse();
    Ok(())
}
