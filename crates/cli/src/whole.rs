// SPDX-License-Identifier: Apache-2.0
//! A folder that is there whole or not at all.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use tempfile::TempDir;

/// A folder that is written beside its place, and moved there when it is complete. Dropped before that, it is gone.
pub(crate) struct WholeFolder {
    beside: TempDir,
    place: PathBuf,
}

impl WholeFolder {
    /// Begins a folder that is to be at `place`, where nothing may be but an empty folder.
    ///
    /// # Errors
    /// There is something, or the folder around it is missing or cannot be written to.
    pub(crate) fn begin(place: &Path) -> Result<Self, String> {
        let text = |error: std::io::Error| error.to_string();
        match fs::read_dir(place) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err("is not empty; name a folder that is not there yet".to_owned());
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(text(error)),
        }
        // Where a link leads, the folder is put; the link stays.
        let place = place.canonicalize().unwrap_or_else(|_| place.to_owned());
        let around = place.parent().filter(|around| !around.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let beside = tempfile::Builder::new().prefix(".sealwatch-").tempdir_in(around).map_err(text)?;
        Ok(Self { beside, place })
    }

    /// Writes a file below the folder.
    ///
    /// # Errors
    /// It cannot be written, or its path leads elsewhere.
    pub(crate) fn write(&self, path: &Path, contents: &[u8]) -> Result<(), String> {
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(format!("{}: leads out of the folder", path.display()));
        }
        let at = |error: std::io::Error| format!("{}: {error}", path.display());
        let full = self.beside.path().join(path);
        if let Some(folder) = full.parent() {
            fs::create_dir_all(folder).map_err(at)?;
        }
        fs::write(full, contents).map_err(at)
    }

    /// Where it is written now.
    pub(crate) fn path(&self) -> &Path {
        self.beside.path()
    }

    /// Moves the folder to its place.
    ///
    /// # Errors
    /// It cannot be moved: something came there in the meantime.
    pub(crate) fn publish(self) -> Result<(), String> {
        fs::rename(self.beside.path(), &self.place).map_err(|error| error.to_string())?;
        // It is elsewhere now; there is nothing to take away.
        let _ = self.beside.keep();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_at_the_place_before_all_is_and_nothing_beside_it_afterwards() {
        let around = tempfile::tempdir().unwrap();
        for place in ["new", "empty"] {
            let place = around.path().join(place);
            if place.ends_with("empty") {
                fs::create_dir(&place).unwrap();
            }
            let folder = WholeFolder::begin(&place).unwrap();
            folder.write(Path::new("a/b"), b"c").unwrap();
            assert!(!place.join("a").exists());
            folder.publish().unwrap();
            assert_eq!(fs::read(place.join("a/b")).unwrap(), b"c");
        }
        assert_eq!(names(around.path()), ["empty", "new"]);
    }

    #[test]
    fn what_is_given_up_leaves_nothing_behind() {
        let around = tempfile::tempdir().unwrap();
        let folder = WholeFolder::begin(&around.path().join("new")).unwrap();
        folder.write(Path::new("a"), b"").unwrap();
        drop(folder);
        assert_eq!(names(around.path()), [""; 0]);
    }

    #[test]
    fn what_is_there_already_is_left_alone() {
        let around = tempfile::tempdir().unwrap();
        fs::write(around.path().join("file"), "x").unwrap();
        let refusal = |place: &Path| WholeFolder::begin(place).err().unwrap();
        assert!(refusal(around.path()).contains("is not empty"));
        assert!(refusal(&around.path().join("file")).contains("Not a directory"));
        assert!(refusal(&around.path().join("absent/new")).contains("No such file"));
        let folder = WholeFolder::begin(&around.path().join("new")).unwrap();
        fs::create_dir(around.path().join("new")).unwrap();
        fs::write(around.path().join("new/x"), "").unwrap();
        assert!(folder.publish().is_err());
        assert_eq!(names(around.path()), ["file", "new"]);
    }

    #[test]
    fn no_path_leads_out() {
        let around = tempfile::tempdir().unwrap();
        let folder = WholeFolder::begin(&around.path().join("new")).unwrap();
        for path in ["../x", "/x", "a/../../x"] {
            assert!(folder.write(Path::new(path), b"").unwrap_err().contains("leads out"), "{path}");
        }
    }
}
