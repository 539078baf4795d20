//! The image for another machine: `cargo xtask image test --target aarch64`. Its programs run in an emulator, one by one;
//! without qemu-user-static the archive is looked at all the same.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::podman::{DEADLINE, READY, skip};

/// `e_machine` of a program for the machine that the emulator emulates.
fn machine(emulator: &str) -> [u8; 2] {
    let number: u16 = if emulator.contains("aarch64") { 183 } else { 62 };
    number.to_le_bytes()
}

/// The image's root file system, unpacked out of the one layer that its manifest names.
fn unpack(archive: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign");
    let _ = fs::remove_dir_all(&directory);
    let (outer, root) = (directory.join("archive"), directory.join("root"));
    for directory in [&outer, &root] {
        fs::create_dir_all(directory).unwrap();
    }
    let untar = |archive: &Path, to: &Path| {
        let status = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(to).status().unwrap();
        assert!(status.success(), "{}", archive.display());
    };
    untar(Path::new(archive), &outer);
    let manifest: serde_json::Value = serde_json::from_slice(&fs::read(outer.join("manifest.json")).unwrap()).unwrap();
    untar(&outer.join(manifest[0]["Layers"][0].as_str().unwrap()), &root);
    root
}

struct Emulated {
    emulator: String,
    root: PathBuf,
}

impl Emulated {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.emulator);
        command.arg(self.root.join("usr/bin").join(words[0])).args(&words[1..]).stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str], input: Option<&Path>) -> String {
        let mut command = self.command(words);
        if let Some(path) = input {
            command.stdin(File::open(path).unwrap());
        }
        let Output { status, stdout, stderr } = command.output().unwrap();
        assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }
}

struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn foreign_programs_run_in_an_emulator() {
    let (Ok(archive), Ok(emulator)) = (std::env::var("OTTLA_IMAGE_FOREIGN"), std::env::var("OTTLA_EMULATOR")) else {
        return println!("skipped: OTTLA_IMAGE_FOREIGN is not set; run cargo xtask image test --target aarch64");
    };
    let root = unpack(&archive);
    for program in ["usr/bin/ottla", "usr/bin/busybox", "usr/bin/bash"] {
        let bytes = fs::read(root.join(program)).unwrap();
        assert_eq!((&bytes[..4], &bytes[18..20]), (&b"\x7fELF"[..], &machine(&emulator)[..]), "{program}");
    }
    if Command::new(&emulator).arg("--version").stdout(Stdio::null()).status().is_err() {
        return skip(&format!("{emulator} is not installed"));
    }
    let image = Emulated { emulator, root };
    assert_eq!(image.run(&["busybox", "echo", "it runs"], None), "it runs\n");
    assert_eq!(image.run(&["bash", "-c", "echo it runs, too"], None), "it runs, too\n");
    for face in image.run(&["ottla", "--list-faces"], None).split_whitespace() {
        assert_eq!(
            fs::read_link(image.root.join("usr/bin").join(face)).unwrap(),
            Path::new("/usr/bin/ottla"),
            "{face}"
        );
    }
    serves(&image);
}

/// A broker of that machine takes a record and gives it back.
fn serves(image: &Emulated) {
    let directory = tempfile::tempdir().unwrap();
    let (out, err) = (directory.path().join("out"), directory.path().join("err"));
    let data = format!("log.dirs={}/data", directory.path().display());
    let mut command = image.command(&["ottla", "broker", "--set", "listeners=PLAINTEXT://127.0.0.1:0", "--set", &data]);
    command.args(["--set", "ottla.http.listener=none", "--set", "ottla.ready.lines=true"]);
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut broker = Broker(command.spawn().unwrap());
    let deadline = Instant::now() + DEADLINE;
    while !fs::read_to_string(&out).unwrap().contains(READY) {
        let log = fs::read_to_string(&err).unwrap();
        assert!(Instant::now() < deadline && broker.0.try_wait().unwrap().is_none(), "{log}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = fs::read_to_string(&err).unwrap();
    let (_, rest) = log.split_once("listeners=[").unwrap();
    let address = rest.split_once(']').unwrap().0;
    let record = directory.path().join("record");
    fs::write(&record, "there and back\n").unwrap();
    image.run(&["ottla", "topic", "create", "t", "-b", address], None);
    image.run(&["ottla", "produce", "t", "-b", address], Some(&record));
    let back = image.run(&["ottla", "consume", "t", "--from-beginning", "-n", "1", "-b", address], None);
    assert_eq!(back, "there and back\n");
    let pid = rustix::process::Pid::from_child(&broker.0);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(broker.0.wait().unwrap().code(), Some(0));
}
