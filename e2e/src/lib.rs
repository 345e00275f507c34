// SPDX-License-Identifier: Apache-2.0

//! Sealwatch against real parts: a Kubernetes control plane, container registries and the `notation` command.
//!
//! Nothing in here ships. Everything listens on loopback only.

pub mod cli;
pub mod scene;
pub mod stage;
pub mod testenv;
