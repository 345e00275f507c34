// SPDX-License-Identifier: Apache-2.0
//! Revocation as it is asked, kept and used. Everything stays on loopback.

#[allow(dead_code, reason = "made for the registry's tests")]
#[path = "../../../registry/tests/registry/scripted.rs"]
mod scripted;

mod asking;
mod keeping;
mod restart;
mod scene;
