// SPDX-License-Identifier: Apache-2.0

//! The Dockerfile makes what `./just image` makes, as far as its text tells.

use std::collections::BTreeMap;
use std::io::Read as _;

use sealwatch_image::{Result, write};
use serde_json::Value;

use crate::{read, recipe, text};

/// The instructions, continued lines joined and comments left out.
fn instructions(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let words = joined.lines().filter_map(|line| line.split_once(' '));
    words.map(|(name, rest)| (name.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))).collect()
}

/// The configuration of the image that is released, and the files in it.
fn released() -> Result<(Value, BTreeMap<String, String>)> {
    let folder = tempfile::tempdir()?;
    write(&recipe()?, folder.path())?;
    let files: BTreeMap<String, Vec<u8>> = read(folder.path())?;
    let blob = |descriptor: &Value| -> Result<&Vec<u8>> {
        let digest = descriptor["digest"].as_str().ok_or("a digest")?.replace(':', "/");
        Ok(files.get(&format!("blobs/{digest}")).ok_or("a blob")?)
    };
    let json = |descriptor: &Value| -> Result<Value> { Ok(serde_json::from_slice(blob(descriptor)?)?) };
    let index: Value = serde_json::from_slice(&files["index.json"])?;
    let manifest = json(&json(&index["manifests"][0])?["manifests"][0])?;
    let mut found = BTreeMap::new();
    for layer in manifest["layers"].as_array().ok_or("layers")? {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(blob(layer)?.as_slice()));
        for entry in archive.entries()? {
            let mut entry = entry?;
            if entry.header().entry_type().is_file() {
                let mut contents = String::new();
                let path = format!("/{}", entry.path()?.display());
                entry.read_to_string(&mut contents)?;
                found.insert(path, contents);
            }
        }
    }
    Ok((json(&manifest["config"])?["config"].clone(), found))
}

#[test]
fn the_dockerfile_runs_the_same_program_from_the_same_place_as_the_same_user() -> Result<()> {
    let found = instructions(&text("Dockerfile")?);
    let (config, files) = released()?;
    let last = found.iter().rposition(|(name, _)| name == "FROM").ok_or("a stage")?;
    assert_eq!(found[last].1, "scratch");
    let of = |wanted: &str| -> Vec<&str> {
        found[last..].iter().filter(|(name, _)| name == wanted).map(|(_, rest)| rest.as_str()).collect()
    };
    assert_eq!(of("USER"), [config["User"].as_str().ok_or("a user")?]);
    assert_eq!(of("WORKDIR"), [config["WorkingDir"].as_str().ok_or("a folder")?]);
    assert_eq!(of("ENTRYPOINT"), [config["Entrypoint"].to_string()]);
    let mut copied = Vec::new();
    for copy in of("COPY") {
        let words: Vec<&str> = copy.split(' ').collect();
        assert!(words.len() == 3 && words[0] == "--from=build", "{copy}");
        let name = words[2].rsplit('/').next().unwrap_or_default();
        assert_eq!(words[1], format!("/image/{name}"));
        copied.push(words[2]);
    }
    copied.sort_unstable();
    assert_eq!(copied, files.keys().collect::<Vec<_>>(), "what lies in the image");
    Ok(())
}

#[test]
fn the_dockerfile_writes_the_same_users_and_the_same_way_to_look_up_names() -> Result<()> {
    let (_, files) = released()?;
    let text = text("Dockerfile")?;
    for path in ["/etc/group", "/etc/nsswitch.conf", "/etc/passwd"] {
        let name = path.trim_start_matches("/etc/");
        let line = format!("printf '{}' >/image/{name}", files[path].replace('\n', "\\n"));
        assert!(text.contains(&line), "there is no {line}");
    }
    Ok(())
}

#[test]
fn the_dockerfile_builds_with_the_pinned_compiler_by_the_script_that_builds_releases() -> Result<()> {
    let found = instructions(&text("Dockerfile")?);
    let toolchain: toml::Table = text("rust-toolchain.toml")?.parse()?;
    let channel = toolchain["toolchain"]["channel"].as_str().ok_or("a channel")?;
    let (name, first) = found.first().ok_or("a stage")?;
    assert_eq!((name.as_str(), first.as_str()), ("FROM", format!("rust:{channel}-bookworm AS build").as_str()));
    let runs: Vec<&str> = found.iter().filter(|(name, _)| name == "RUN").map(|(_, rest)| rest.as_str()).collect();
    assert!(runs.iter().any(|run| run.contains(&format!("RUSTUP_TOOLCHAIN={channel} dev/programs "))), "{runs:?}");
    assert!(runs.iter().all(|run| !run.contains("cargo build")), "{runs:?}");
    Ok(())
}
