//! A listening Unix socket, for a proxy on the same host.
//!
//! # Invariants worth naming
//!
//! - There is one socket, which all shards accept from: the kernel does not deal
//!   connections out to several of one path.
//! - The file at its path is removed by the process that serves last, and only if it is
//!   still the file that was bound.
//! - No file is removed but a socket to which nothing listens any more.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// The rights of the file: the folder decides which users reach it.
const MODE: u32 = 0o666;

/// The file of a listening Unix socket. Dropped, it is removed.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// The device and number of the file.
    file: (u64, u64),
    /// Whether this process removes it. One that has inherited it does so only once it
    /// serves.
    is_ours: bool,
}

impl SocketFile {
    /// The file of a socket that is bound to this path.
    fn at(path: &Path, is_ours: bool) -> io::Result<Self> {
        let file = fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            file: (file.dev(), file.ino()),
            is_ours,
        })
    }

    /// The path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the file over from another process.
    pub(crate) fn claim(&mut self) {
        self.is_ours = true;
    }

    /// Leaves the file to another process.
    pub(crate) fn leave(&mut self) {
        self.is_ours = false;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let now = fs::symlink_metadata(&self.path);
        let is_same = self.is_ours && now.is_ok_and(|now| self.file == (now.dev(), now.ino()));
        if is_same && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("{} cannot be removed: {error}", self.path.display());
        }
    }
}

/// Whether a socket is bound to a path.
pub(crate) fn is_at(socket: &Socket, path: &Path) -> bool {
    path_of(socket).is_some_and(|local| local == path)
}

/// The path that a socket is bound to, if it is a Unix socket.
pub(crate) fn path_of(socket: &Socket) -> Option<PathBuf> {
    let local = socket.local_addr().ok()?;
    Some(local.as_pathname()?.to_owned())
}

/// Takes an inherited socket, or binds one.
///
/// # Errors
/// When the path cannot be bound, or another server listens there.
pub(crate) fn open(path: &str, inherited: &mut Vec<Socket>) -> io::Result<(Socket, SocketFile)> {
    let path = Path::new(path);
    let place = inherited.iter().position(|socket| is_at(socket, path));
    let socket = match place {
        Some(place) => inherited.swap_remove(place),
        None => bind(path)?,
    };
    Ok((socket, SocketFile::at(path, place.is_none())?))
}

fn bind(path: &Path) -> io::Result<Socket> {
    let there = fs::symlink_metadata(path);
    if there.is_ok_and(|there| there.file_type().is_socket()) {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path)?;
            }
            _ => return Err(io::ErrorKind::AddrInUse.into()),
        }
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    Ok(socket)
}

#[cfg(all(test, not(any(loom, miri))))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_removed_by_its_last_owner_and_by_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let text = path.to_str().unwrap();
        let (socket, mut file) = open(text, &mut Vec::new()).unwrap();
        socket.listen(8).unwrap();
        let error = open(text, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);

        // Handed over it is the same socket and file.
        let mut inherited = vec![socket];
        let (again, early) = open(text, &mut inherited).unwrap();
        drop(early);
        assert!(path.exists(), "a start that fails leaves it");
        let (again, mut second) = open(text, &mut vec![again]).unwrap();
        second.claim();
        file.leave();
        drop(file);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
        drop(again);

        // One that was left by a process that was killed is replaced.
        let (socket, mut killed) = open(text, &mut Vec::new()).unwrap();
        killed.leave();
        drop((socket, killed));
        assert!(path.exists());
        let (_socket, file) = open(text, &mut Vec::new()).unwrap();
        // Another one has taken its place.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "a file of somebody else").unwrap();
        drop(file);
        assert!(path.exists());
        assert!(open(text, &mut Vec::new()).is_err(), "it is no socket");
        assert!(path.exists());
    }
}
