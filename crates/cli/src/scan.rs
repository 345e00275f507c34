// SPDX-License-Identifier: Apache-2.0
//! `sealwatch scan`: what runs in a cluster, judged once by the operator's engine, with nothing installed there.

mod change;
mod html;
mod judging;
mod place;
mod policies;
mod release;
mod report;
mod table;

use std::process::ExitCode;

use jiff::Timestamp;

use self::{judging::Judging, place::Place, policies::PolicyFile, release::ReleaseList, report::Report};
use crate::{
    args::{LogFormat, ScanArguments, ScanFormat},
    log, output, terminal,
};

pub(crate) async fn run(arguments: ScanArguments) -> ExitCode {
    // What goes wrong with the API server is the answer; its client says it a second time.
    log::start(LogFormat::Text, "warn,kube_client=off");
    let report = match scan(&arguments).await {
        Ok(report) => report,
        Err(why) => return terminal::usage(&why),
    };
    terminal::warn_of(&report.warnings);
    let text = match arguments.output {
        ScanFormat::Table => Ok(table::draw(&report)),
        ScanFormat::Json => output::json(&report),
        ScanFormat::Yaml => output::yaml(&report),
        ScanFormat::Html => Ok(html::page(&report)),
    };
    match text {
        Ok(text) => terminal::answer(&text, ExitCode::from(report.exit_code())),
        Err(why) => terminal::usage(&why),
    }
}

/// What was found, or what the user has to put right first. Nothing is asked before all that the user gave is
/// understood.
async fn scan(arguments: &ScanArguments) -> Result<Report, String> {
    let list = arguments.deployment_image_list.as_deref().map(ReleaseList::read).transpose()?;
    let file = PolicyFile::read(arguments)?;
    let place = Place::open(arguments).await?;
    let running = place.running().await?;
    let now = Timestamp::now();
    let mut report = Report::begin(&place, &running, file.as_ref(), now);
    if let Some(list) = &list {
        report.compare(list, &running, &place, now);
    }
    // A list can be compared where there is neither a policy nor a signature.
    if list.is_none() || file.is_some() {
        let judging = Judging { arguments, place: &place, running: &running, now };
        judging.judge(file.as_ref(), &mut report).await?;
    }
    Ok(report)
}
