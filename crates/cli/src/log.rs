// SPDX-License-Identifier: Apache-2.0
//! The log, on standard error.

mod line;

use std::{
    any::Any,
    env, fmt,
    io::{self, IsTerminal as _},
    panic::{self, PanicHookInfo},
};

use tracing::field::Field;
use tracing_subscriber::{
    EnvFilter,
    field::MakeExt as _,
    fmt::format::{Writer, debug_fn},
};

use self::line::{JsonLine, bounded};
use crate::args::LogFormat;

/// The variable that sets the level.
const LEVEL: &str = "RUST_LOG";

/// Who logs what our own errors say as well, and is heard only where `RUST_LOG` asks for it.
const SILENT: &str = "rustls_platform_verifier=off";

/// Begins to log what `RUST_LOG` asks for, else everything from `level` on.
pub(crate) fn start(format: LogFormat, level: &str) {
    let wanted = env::var(LEVEL).ok().filter(|wanted| !wanted.is_empty());
    let parsed = wanted.as_deref().map(EnvFilter::try_new);
    let usual = || EnvFilter::new(format!("{level},{SILENT}"));
    let (filter, wrong) = match parsed {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (usual(), Some(error)),
        None => (usual(), None),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    // A second subscriber cannot be set in this process; were it so, its log would do.
    let _ = match format {
        LogFormat::Json => {
            panic::set_hook(Box::new(panicked));
            builder.event_format(JsonLine).try_init()
        }
        LogFormat::Text => {
            let fields = debug_fn(text_field).delimited(" ");
            builder.with_ansi(io::stderr().is_terminal() && !is_plain()).fmt_fields(fields).try_init()
        }
    };
    if let Some(error) = wrong {
        tracing::warn!(%error, "{LEVEL} cannot be understood, so everything from {level} on is logged");
    }
}

/// A panic as a line of the log, which readers of JSON would not find otherwise.
fn panicked(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string);
    tracing::error!(location, error = said(info.payload()), "panicked; this is a mistake in Sealwatch");
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default()
}

/// `key=value`, and the message without its key.
fn text_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => writer.write_str(&bounded(value)),
        name if name.starts_with("log.") => Ok(()),
        name => write!(writer, "{name}={}", bounded(value)),
    }
}

/// Whether the user wants no colour anywhere (<https://no-color.org>: set, and not empty).
fn is_plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
