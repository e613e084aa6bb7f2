//! The initramfs of a site's installer: the one that was built, with the list of points to die at before it.
//!
//! An installer that died boots the same initramfs again, so the list is cut by what it has used up as soon as its serial
//! port says so; the firmware and the boot network take seconds until they read it.

use std::path::Path;

/// Puts the files of a netboot image into a directory of the site's own.
pub(crate) fn assets(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("the site's directory is writable");
    for name in ["vmlinuz", "initramfs", "snponly.efi", "undionly.kpxe"] {
        let source = from.join(name);
        std::fs::copy(&source, to.join(name)).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; tests/fault/build.sh makes it",
                source.display()
            )
        });
    }
    std::fs::copy(to.join("initramfs"), to.join("plain")).expect("the directory is writable");
    arm(to, &[]);
}

/// Lets the installer die at `points`, one a boot.
pub(crate) fn arm(dir: &Path, points: &[(&str, u32)]) {
    let list: Vec<String> = points
        .iter()
        .map(|(point, skip)| format!("{point} {skip}"))
        .collect();
    if std::fs::read_to_string(dir.join("armed")).ok() == Some(list.join("\n")) {
        return;
    }
    write(dir, &list);
}

/// Points that the next boot is given.
pub(crate) fn armed(dir: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(dir.join("armed")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The server was killed `deaths` times since it was made: takes away what was used up.
pub(crate) fn used(dir: &Path, deaths: usize) {
    let file = dir.join("deaths");
    let before: usize = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    if deaths <= before {
        return;
    }
    std::fs::write(&file, deaths.to_string()).expect("the directory is writable");
    let left: Vec<String> = armed(dir).into_iter().skip(deaths - before).collect();
    write(dir, &left);
}

fn write(dir: &Path, list: &[String]) {
    let text = list.join("\n");
    let mut initramfs = Vec::new();
    if !list.is_empty() {
        entry(&mut initramfs, 0o040_755, "fault", b"");
        entry(&mut initramfs, 0o100_400, "fault/armed", text.as_bytes());
        entry(&mut initramfs, 0, "TRAILER!!!", b"");
        // Linux looks for the next archive at a multiple of four.
        initramfs.resize(initramfs.len().next_multiple_of(512), 0);
    }
    initramfs.extend(std::fs::read(dir.join("plain")).expect("the plain initramfs is there"));
    // Renamed into place: a server that reads the old one reads it to its end.
    let fresh = dir.join("initramfs.new");
    std::fs::write(&fresh, initramfs)
        .and_then(|()| std::fs::rename(&fresh, dir.join("initramfs")))
        .and_then(|()| std::fs::write(dir.join("armed"), text))
        .expect("the directory is writable");
}

/// One entry of a cpio archive in the format "newc".
fn entry(archive: &mut Vec<u8>, mode: u32, name: &str, content: &[u8]) {
    let header = format!(
        "070701{:08x}{mode:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
        0,
        0,
        0,
        1,
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
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}
