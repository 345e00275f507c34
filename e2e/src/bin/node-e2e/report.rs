// SPDX-License-Identifier: Apache-2.0

//! What the kubelet said and what we said, for people and for docs/running-images.md.

use std::fs;
use std::path::Path;

use sealwatch_e2e::testenv::Result;

use crate::images::Workshop;

/// Where the table stands, between two lines of these.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/running-images.md");
const BEGIN: &str = "<!-- as ./just e2e-node saw it -->\n";
const END: &str = "<!-- end -->\n";

/// How the kubelet said it, and what we said.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) image: String,
    pub(crate) reported_image: String,
    pub(crate) image_id: String,
    pub(crate) verdict: String,
}

pub(crate) fn print(rows: &[Row]) {
    println!();
    for row in rows {
        println!("{}\n    spec.image  {}", row.what, row.image);
        println!("    image       {}\n    imageID     {}", row.reported_image, row.image_id);
        println!("    verdict     {}", if row.verdict.is_empty() { "no ImageVerification" } else { &row.verdict });
    }
    println!();
}

/// Whether the documentation shows these rows, without what differs from run to run. What it should show is written
/// beside the logs.
pub(crate) fn compare(rows: &[Row], workshop: &Workshop<'_>, logs: &Path) -> Result<()> {
    let mut table =
        "| | `spec.image` | `image` | `imageID` | Sealwatch |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for row in rows {
        let cells = [&row.image, &row.reported_image, &row.image_id, &row.verdict].map(|text| {
            let text = workshop.names.in_place(text).replace(&workshop.registry.host(), "registry");
            text.replace(concat!(":", env!("CARGO_PKG_VERSION")), ":VERSION")
        });
        let cells = cells.map(|text| if text.is_empty() { "–".to_owned() } else { format!("`{text}`") });
        let line = ["|", row.what, "|", &cells.join(" | "), "|\n"].join(" ");
        table.push_str(&line);
    }
    let file = logs.join("table.md");
    fs::write(&file, &table)?;
    let page = fs::read_to_string(PAGE)?;
    let shown = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END)).map(|(shown, _)| shown);
    if shown == Some(table.as_str()) {
        return Ok(());
    }
    Err(format!(
        "docs/running-images.md shows another table than {}; if this one is right, put it there",
        file.display()
    )
    .into())
}
