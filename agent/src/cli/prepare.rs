//! `kestrel-agent prepare`: folders that root makes and the agent without root uses.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown},
    path::Path,
};

use super::{Exit, PrepareArgs};

/// Gives each folder to the agent's user, and says on `err` why not.
///
/// # Errors
/// When these cannot be written.
pub fn prepare(args: &PrepareArgs, out: &mut impl Write, err: &mut impl Write) -> io::Result<Exit> {
    for folder in &args.folders {
        match hand_over(folder, args.uid, args.gid) {
            Ok(()) => writeln!(out, "{}: is uid {}'s", folder.display(), args.uid)?,
            Err(error) => {
                writeln!(err, "{}: {error}", folder.display())?;
                return Ok(Exit::Failed);
            }
        }
    }
    Ok(Exit::Good)
}

/// What is in it first and the folder last, so that what was cut off starts over. Links are not
/// followed. A folder that is the user's already is left alone: root without its capabilities could
/// not even look into it.
fn hand_over(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(path)?;
            fs::symlink_metadata(path)?
        }
        result => result?,
    };
    if (metadata.uid(), metadata.gid()) == (uid, gid) {
        return Ok(());
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            hand_over(&entry?.path(), uid, gid)?;
        }
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    lchown(path, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_and_what_is_in_it_is_handed_over_once() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "").unwrap();
        let folder = dir.path().join("a/state");
        fs::create_dir_all(folder.join("deep")).unwrap();
        symlink(&outside, folder.join("deep/link")).unwrap();
        let args = PrepareArgs { folders: vec![folder.clone()], uid: 65_532, gid: 65_533 };
        for _ in 0..2 {
            assert_eq!(prepare(&args, &mut Vec::new(), &mut Vec::new()).unwrap(), Exit::Good);
        }
        for path in [folder.clone(), folder.join("deep"), folder.join("deep/link")] {
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (65_532, 65_533), "{}", path.display());
        }
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&outside).unwrap().uid(), 0);
    }
}
