//! A cpio archive (format "newc") with one directory and one file: the second initrd. Pure.

#[cfg(test)]
mod tests;

const DIRECTORY: u32 = 0o040_755;
/// Only the installer, which is root, reads it.
const FILE: u32 = 0o100_400;
/// Linux reads the next archive or compressed archive behind this one only at a multiple of four; iPXE and GRUB leave
/// none of the sizes that cpio writers are used to pad to unaligned either.
const ALIGNMENT: usize = 512;

/// The archive that puts `content` at `path`, which has exactly one directory.
pub(crate) fn render(path: &str, content: &[u8]) -> Vec<u8> {
    let mut archive = Vec::new();
    if let Some((directory, _)) = path.rsplit_once('/') {
        entry(&mut archive, 1, directory, DIRECTORY, &[]);
    }
    entry(&mut archive, 2, path, FILE, content);
    entry(&mut archive, 0, "TRAILER!!!", 0, &[]);
    pad(&mut archive, ALIGNMENT);
    archive
}

fn entry(archive: &mut Vec<u8>, inode: u32, name: &str, mode: u32, content: &[u8]) {
    let links = if mode == DIRECTORY { 2 } else { 1 };
    // Magic; inode, mode, user, group, links, time, size, device and "real" device twice each, name with its zero,
    // checksum, which this format leaves zero.
    let header = format!(
        "070701{inode:08x}{mode:08x}{:08x}{:08x}{links:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
        0,
        0,
        0,
        content.len(),
        0,
        0,
        0,
        0,
        name.len() + 1,
        0,
    );
    archive.extend(header.into_bytes());
    archive.extend(name.as_bytes());
    archive.push(0);
    pad(archive, 4);
    archive.extend(content);
    pad(archive, 4);
}

fn pad(archive: &mut Vec<u8>, to: usize) {
    archive.resize(archive.len().next_multiple_of(to), 0);
}
