//! Loss of power: the image of a journalled file system, copied whenever something was synced, and what is found when
//! it is mounted again under another boot.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use fs_err as fs;

use super::pool::Limits;
use super::seeds::Random;
use super::stage::command;
use super::table::Row;
use crate::harness::binaries;
use crate::harness::call::command as program;
use crate::harness::sandbox::Sandbox;
use crate::harness::waiting::{SOON, eventually};

pub const NAME: &str = "15 loss of power at each sync";

/// A mounted image, unmounted with its value.
struct Disk {
    directory: tempfile::TempDir,
}

impl Disk {
    fn new() -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("lp-").tempdir_in(root()).unwrap();
        let disk = Self { directory };
        fs::create_dir(disk.mount()).unwrap();
        fs::create_dir(disk.images()).unwrap();
        fs::write(disk.directory.path().join("boot"), "00000000-0000-4000-8000-000000000001\n")
            .unwrap();
        let image = disk.image().display().to_string();
        sh(&format!("truncate -s 16M {image} && mkfs.ext4 -q -b 1024 -J size=1 {image} 2>&1"))?;
        disk.attach()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    fn mount(&self) -> PathBuf {
        self.directory.path().join("m")
    }

    fn images(&self) -> PathBuf {
        self.directory.path().join("images")
    }

    /// The journal is written when something is synced, and not by itself.
    fn attach(&self) -> Result<(), String> {
        let (image, mount) = (self.image(), self.mount());
        sh(&format!("mount -o loop,commit=900 {} {} 2>&1", image.display(), mount.display()))
    }

    fn detach(&self) -> Result<(), String> {
        sh(&format!("umount {} 2>&1", self.mount().display()))
    }

    fn taken(&self) -> Vec<String> {
        let entries = fs::read_dir(self.images()).unwrap();
        let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        let mut all: Vec<_> = entries.map(|entry| name(entry.unwrap().path())).collect();
        all.sort();
        all
    }

    fn forget(&self) {
        for name in self.taken() {
            fs::remove_file(self.images().join(name)).unwrap();
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Not mounted is as good.
        drop(sh(&format!("umount -l {} 2>/dev/null", self.mount().display())));
    }
}

fn root() -> PathBuf {
    binaries::variable("LATTICE_TEST_DIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

fn sh(script: &str) -> Result<(), String> {
    let output = program("sh").args(["-c", script]).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stdout).into())
    }
}

/// What is done while images are taken, and the word for it in a seed.
#[derive(Clone, Copy)]
enum Deed {
    Run,
    Comment,
}

const DEEDS: [(Deed, &str); 2] = [(Deed::Run, "run"), (Deed::Comment, "comment")];

/// Some of the images of each deed.
pub fn row(count: usize, seed: u64, limits: Limits) -> Row {
    tried(limits, &DEEDS, None, |images| {
        Random::new(seed).shuffle(images);
        images.truncate(count);
    })
}

/// One of them: `power DEED IMAGE`, where the image is named by its sync.
pub fn again(seed: &str) -> Row {
    let words: Vec<_> = seed.split(' ').collect();
    let [_, deed, image] = words[..] else { panic!("no seed of an image: {seed}") };
    let deeds: Vec<_> = DEEDS.into_iter().filter(|(_, word)| *word == deed).collect();
    tried(Limits::within(Duration::from_mins(10)), &deeds, Some(image), |_| {})
}

fn tried(
    limits: Limits,
    deeds: &[(Deed, &str)],
    only: Option<&str>,
    choose: impl Fn(&mut Vec<String>),
) -> Row {
    let disk = match Disk::new() {
        Ok(disk) => disk,
        Err(why) => return Row::skipped(NAME, format!("no image can be mounted: {}", why.trim())),
    };
    let mut row = Row::new(NAME);
    for (deed, word) in deeds {
        let (task, mut images) = photographed(&disk, *deed, only);
        choose(&mut images);
        row.moments += images.len();
        for image in images {
            if Instant::now() > limits.until {
                break;
            }
            row.trials += 1;
            let tried = std::panic::catch_unwind(|| found(&disk, *deed, &task, &image));
            if tried.is_err() {
                let seed = format!("power {word} {image}");
                println!("VIOLATION {seed}: {}", super::pool::last_words());
                row.failures.push(seed);
                drop(sh(&format!("umount {} 2>/dev/null", disk.mount().display())));
            }
        }
        disk.forget();
        disk.attach().expect("the image can be mounted");
    }
    row
}

/// One deed from its first system call to its last, with an image for each sync, or the one that is named.
fn photographed(disk: &Disk, deed: Deed, only: Option<&str>) -> (String, Vec<String>) {
    drop(sh(&format!("rm -rf {}/*", disk.mount().display())));
    let mut sandbox = Sandbox::at(disk.mount(), None);
    sandbox.make_repository();
    sandbox.make_lattice();
    sandbox.commit("Start to track");
    fs::create_dir(sandbox.base.join("marks")).unwrap();
    let work = command(&sandbox, &["spawn-setsid=daemon", "exit=3"]);
    sandbox.worker("Work", serde_json::json!({"command": work, "worktree": true}));
    sandbox.sh("sync -f .");
    let words: &[&str] = match deed {
        Deed::Run => &["worker", "run", "Work", "LAT-1"],
        Deed::Comment => &["comment", "LAT-1", "Hello", "--actor", "human:ana"],
    };
    let striker = binaries::fake("striker");
    let report = disk.directory.path().join("report").display().to_string();
    let only = only.map(|name| format!("={name}")).unwrap_or_default();
    let (image, images) = (disk.image(), disk.images());
    let what = format!("images:{}={}{only}", image.display(), images.display());
    sandbox.lattice(words.iter().copied()).through([striker, report, what]).run().ok();
    let task = sandbox.task.clone();
    drop(sandbox);
    eventually("the disk can be unmounted", SOON, || disk.detach());
    let images = disk.taken();
    let enough = if only.is_empty() { 4 } else { 1 };
    assert!(images.len() >= enough, "a deed syncs: {images:?}");
    (task, images)
}

/// The image as it was, on another boot: no line is broken, and one call settles the run.
fn found(disk: &Disk, deed: Deed, task: &str, image: &str) {
    fs::copy(disk.images().join(image), disk.image()).unwrap();
    disk.attach().expect("the image can be mounted");
    drop(fs::remove_file(disk.mount().join("s")));
    {
        let mut sandbox = Sandbox::at(disk.mount(), None);
        task.clone_into(&mut sandbox.task);
        let boot = disk.directory.path().join("boot").display().to_string();
        let another = format!("mount --bind {boot} /proc/sys/kernel/random/boot_id && exec \"$@\"");
        let rebooted = |words: &[&str]| {
            let call = sandbox.lattice(words.iter().copied());
            call.through(["unshare", "-m", "sh", "-c", &another, "sh"]).run()
        };
        rebooted(&["show", "LAT-1"]).ok();
        crate::harness::campaign::age_unlocked(&sandbox);
        rebooted(&["worker", "reap"]).ok();
        match deed {
            Deed::Run => {
                let mut state = Vec::new();
                eventually(&format!("{image}: it has settled"), SOON, || {
                    let runs = sandbox.runs_of(task);
                    let open =
                        runs.values().any(|(starts, ends)| (starts.len(), ends.len()) != (1, 1));
                    state = runs.into_values().flat_map(|(_, ends)| ends).collect();
                    let mut left = sandbox.traces();
                    // A file that was about to get its name is `doctor`'s to find, when it is old.
                    left.retain(|trace| {
                        !["process", "run .tmp."].iter().any(|kind| trace.starts_with(kind))
                    });
                    if open || !left.is_empty() {
                        Err(format!("{state:#?} {left:#?}"))
                    } else {
                        Ok(())
                    }
                });
                if let Some(saved) =
                    state.first().and_then(|end| end["data"]["preserved_ref"].as_str())
                {
                    sandbox.git(["show", "--stat", saved]);
                }
            }
            Deed::Comment => drop(rebooted(&["doctor", "--fix"]).ok()),
        }
        sandbox.events_of(task);
    }
    eventually("the disk can be unmounted", SOON, || disk.detach());
}
