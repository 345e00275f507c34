// SPDX-License-Identifier: Apache-2.0

//! The page that is written.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::{Asked, IMAGES, PODS_EACH, Part, Steady};

/// Everything that was seen, in Markdown.
pub(crate) fn page(first: &Part, steady: &Steady) -> String {
    format!("{}{}{}", head(steady), figures(first, steady), requests(&first.asked, &steady.part.asked))
}

fn head(steady: &Steady) -> String {
    let Steady { part, rollouts, scrapes, .. } = steady;
    let build = if std::env::var_os("SEALWATCH_BIN").is_some() { "release" } else { "debug" };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let (pods, minutes) = (IMAGES * PODS_EACH, part.lasted.as_secs_f64() / 60.0);
    format!(
        "# The operator at the size of Azure IoT Operations

Written by `./just measure`; not by hand. A {build} build on a real control plane and a real registry: {pods} pods run
{IMAGES} images, each signed by `notation` with RSA-3072 and timestamped, one half of them in COSE. The policy is the seed's
with a `tsa` store, and the default interval of an hour; the cache on disk is on. In {minutes:.1} minutes {rollouts} workloads were
rolled out (a new image, {PODS_EACH} pods), and metrics were scraped {scrapes} times. One run on one machine with {processors} processors,
on which the control plane and the registry run too; shown, and held against nothing.

"
    )
}

fn figures(first: &Part, steady: &Steady) -> String {
    let part = &steady.part;
    let mut page = "| | from the start to the last first verdict | living on |\n| --- | ---: | ---: |\n".to_owned();
    let mut row = |what: &str, of: &dyn Fn(&Part) -> String| {
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| {what} | {} | {} |", of(first), of(part));
    };
    row("time", &|part| format!("{:.1} s", part.lasted.as_secs_f64()));
    row("resident memory at the end (`VmRSS`)", &|part| mebibytes(part.after.resident));
    row("of it no file's (`RssAnon`)", &|part| mebibytes(part.after.anonymous));
    row("most resident memory so far (`VmHWM`)", &|part| mebibytes(part.after.peak));
    row("threads", &|part| part.after.threads.to_string());
    row("time of processors", &|part| format!("{:.2} s", part.cpu().as_secs_f64()));
    row("the same, in thousandths of one processor", &|part| {
        format!("{:.1}", part.cpu().as_secs_f64() / part.lasted.as_secs_f64() * 1000.0)
    });
    row("requests to the API server", &|part| rate(part.asked.of_the_api_server(), part));
    row("requests to the registry", &|part| rate(part.asked.registry, part));
    let mut resident = steady.resident.clone();
    resident.sort_unstable();
    let at = |percent: usize| {
        let last = resident.len().saturating_sub(1);
        mebibytes(resident.get(last * percent / 100).copied().unwrap_or_default())
    };
    let _ = writeln!(
        page,
        "\nWhile it lived on, resident memory was looked at each second: {} at least, {} in the middle, {} at most.",
        at(0),
        at(50),
        at(100)
    );
    page
}

fn requests(first: &Asked, then: &Asked) -> String {
    let mut page = "\nWhat the API server was asked, from its audit log; a watch counts when it begins:\n\n\
                    | verb and resource | start | living on |\n| --- | ---: | ---: |\n"
        .to_owned();
    let kinds: BTreeSet<_> = first.api_server.keys().chain(then.api_server.keys()).collect();
    for what in kinds {
        let count = |asked: &Asked| asked.api_server.get(what).copied().unwrap_or_default();
        let _ = writeln!(page, "| {what} | {} | {} |", count(first), count(then));
    }
    page
}

/// For people.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / 1024.0 / 1024.0)
}

fn rate(count: usize, part: &Part) -> String {
    let minutes = part.lasted.as_secs_f64() / 60.0;
    format!("{count} ({:.1} a minute)", f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / minutes)
}
