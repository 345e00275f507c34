// SPDX-License-Identifier: Apache-2.0

//! What the operator shows of itself, seen with real eyes: a Prometheus that scrapes it, and a reader of its log.

mod alerts;
mod dashboard;
mod events;
mod log;
mod page;
mod site;
