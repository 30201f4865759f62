//! Queue and lake that do not belong together any more: the database lost or restored, the lake lost or restored, both
//! from one backup, the folder copied. Whatever was lost can be brought in again, once, and nothing is skipped.

use crate::program::{counts, plain, posts_file, run, succeed, text};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with three stages of one file: so many posts, more, all.
struct Scene {
    folder: tempfile::TempDir,
    data: PathBuf,
}

const STAGES: [usize; 3] = [300, 500, 700];

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Self { folder, data }
    }

    fn file(&self, stage: usize) -> PathBuf {
        let place = self.folder.path().join(stage.to_string());
        std::fs::create_dir_all(&place).unwrap();
        posts_file(&place, STAGES[stage])
    }

    fn import(&self, data: &Path, stage: usize) -> String {
        succeed(plain(data).arg("import").arg(self.file(stage)))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// All posts of the last stage are there once, after they were imported (again).
    fn assert_completed(&self, data: &Path) {
        self.import(data, 2);
        let all = STAGES[2] as u64;
        assert_eq!(counts(data), (all, all, all, all));
        // From now on the two agree.
        let again = run(plain(data).arg("import").arg(self.file(2)));
        assert!(text(&again.stdout).contains("700 duplicates"), "{}", text(&again.stdout));
        assert!(!text(&again.stderr).contains("do not belong together"), "{}", text(&again.stderr));
    }

    fn assert_refused_until_reconciled(&self) {
        let refused = run(plain(&self.data).arg("import").arg(self.file(2)));
        let words = text(&refused.stderr);
        assert!(!refused.status.success() && words.contains("overheard reconcile"), "{words}");
        let said = succeed(plain(&self.data).arg("reconcile"));
        assert!(said.contains("consistent now"), "{said}");
        assert!(succeed(plain(&self.data).arg("reconcile")).contains("nothing to do"));
        self.assert_completed(&self.data);
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[test]
fn a_database_that_was_lost_skips_nothing_and_doubles_nothing() {
    let scene = Scene::new();
    scene.import(&scene.data, 1);
    std::fs::remove_file(scene.data.join("overheard.db")).unwrap();
    scene.assert_completed(&scene.data);
}

#[test]
fn a_database_from_an_older_copy_skips_nothing_and_doubles_nothing() {
    let scene = Scene::new();
    scene.import(&scene.data, 0);
    let database = scene.data.join("overheard.db");
    copy(&database, &scene.path("older.db"));
    scene.import(&scene.data, 1);
    std::fs::rename(scene.path("older.db"), &database).unwrap();
    scene.assert_completed(&scene.data);
    // The older copy once more: it has the identity of before the mending.
    let older = Scene::new();
    older.import(&older.data, 0);
    copy(&older.data.join("overheard.db"), &older.path("older.db"));
    std::fs::remove_file(older.data.join("overheard.db")).unwrap();
    older.import(&older.data, 1);
    std::fs::rename(older.path("older.db"), older.data.join("overheard.db")).unwrap();
    older.assert_completed(&older.data);
}

#[test]
fn a_lake_that_was_lost_is_told_of_and_can_be_filled_again() {
    let scene = Scene::new();
    scene.import(&scene.data, 1);
    std::fs::remove_dir_all(scene.data.join("lake")).unwrap();
    scene.assert_refused_until_reconciled();
}

#[test]
fn a_lake_from_an_older_copy_is_told_of_and_can_be_filled_again() {
    let scene = Scene::new();
    scene.import(&scene.data, 0);
    copy(&scene.data.join("lake"), &scene.path("older"));
    scene.import(&scene.data, 1);
    std::fs::remove_dir_all(scene.data.join("lake")).unwrap();
    std::fs::rename(scene.path("older"), scene.data.join("lake")).unwrap();
    scene.assert_refused_until_reconciled();
}

#[test]
fn a_backup_is_restored_into_an_empty_folder_only_and_agrees() {
    let scene = Scene::new();
    scene.import(&scene.data, 0);
    let (backup, restored) = (scene.path("backup"), scene.path("restored"));
    succeed(plain(&scene.data).arg("backup").arg(&backup));
    scene.import(&scene.data, 1);
    let refused = run(plain(&scene.data).arg("restore").arg(&backup));
    assert!(text(&refused.stderr).contains("is not empty"), "{}", text(&refused.stderr));
    let said = succeed(plain(&restored).arg("restore").arg(&backup));
    assert!(said.contains("300 posts in the lake, 0 waiting"), "{said}");
    scene.assert_completed(&restored);
    // The same folder again takes what is new; a damaged file is found.
    succeed(plain(&scene.data).arg("backup").arg(&backup));
    let said = succeed(plain(&scene.path("second")).arg("restore").arg(&backup));
    assert!(said.contains("500 posts in the lake"), "{said}");
    let damaged = Command::new("find").arg(backup.join("lake")).args(["-name", "*.parquet"]).output().unwrap();
    let damaged = PathBuf::from(text(&damaged.stdout).lines().next().unwrap());
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&damaged, bytes).unwrap();
    let refused = run(plain(&scene.path("third")).arg("restore").arg(&backup));
    assert!(text(&refused.stderr).contains("is damaged"), "{}", text(&refused.stderr));
    let refused = run(plain(&scene.path("third")).arg("import").arg(scene.file(0)));
    assert!(text(&refused.stderr).contains("was not finished"), "{}", text(&refused.stderr));
}

#[test]
fn a_copied_folder_goes_on_by_itself() {
    let scene = Scene::new();
    scene.import(&scene.data, 0);
    let copied = scene.path("copied");
    copy(&scene.data, &copied);
    scene.import(&scene.data, 1);
    scene.assert_completed(&scene.data);
    scene.assert_completed(&copied);
}
