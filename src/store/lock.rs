//! One process at a time. SQLite's own locks admit several writers; the ledger in memory does not.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::error::StoreError;

/// Longer than a look at the lock takes.
const LOOKED: Duration = Duration::from_millis(20);

/// Held as long as the store is open; the system lets go of it when the process dies, however it dies.
/// The file holds the owner's process id, and is empty after an orderly end.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    /// The last owner did not end in an orderly way.
    pub(super) after_crash: bool,
}

impl Lock {
    /// Takes the lock of a state directory.
    pub(super) fn acquire(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("lock");
        let unusable = |error: std::io::Error| StoreError::Unusable {
            path: path.clone(),
            problem: error.to_string(),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(unusable)?;
        let mut locked = file.try_lock();
        if matches!(locked, Err(TryLockError::WouldBlock)) {
            // Somebody may only have looked whether it is held.
            std::thread::sleep(LOOKED);
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: directory.to_owned(),
                    pid: owner(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let after_crash = file.metadata().map_err(unusable)?.len() > 0;
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(unusable)?;
        Ok(Self { file, after_crash })
    }
}

/// Whether a living process has the store of a state directory open.
pub(super) fn is_held(directory: &Path) -> bool {
    let Ok(file) = File::open(directory.join("lock")) else {
        return false;
    };
    // It is given back at once, with the file.
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Should it fail, the next start only checks more than it needs to.
        let _ = self.file.set_len(0);
    }
}

fn owner(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
