// SPDX-License-Identifier: Apache-2.0

//! `sealwatch scan`: what runs in a cluster, judged once.

mod changes;
mod desk;
mod facts;
mod page;
mod refusals;
mod released;
