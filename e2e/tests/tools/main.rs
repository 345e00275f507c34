// SPDX-License-Identifier: Apache-2.0

//! The commands beside `verify`: `inspect`, `policy` and `mirror`, against real registries, the real `notation` and a
//! real API server.

mod inspect;
mod manners;
mod mirror;
mod policy;
mod terminal;
