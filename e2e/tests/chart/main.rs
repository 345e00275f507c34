// SPDX-License-Identifier: Apache-2.0

//! The chart and the kustomize manifests: what they refuse, that they install the same, and that what they install works
//! with exactly the rights that they grant.

mod install;
mod manifests;
mod monitoring;
mod package;
mod parity;
mod release;
mod values;
