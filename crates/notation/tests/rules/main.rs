// SPDX-License-Identifier: Apache-2.0
//! The rules of the Notary Project, one claim at a time, on envelopes that the tests make themselves.

#[path = "../support/mod.rs"]
mod support;

mod certificate;
mod chain;
mod cose;
mod cost;
mod crl;
mod details;
mod errors;
mod judge;
mod jws;
mod mutation;
mod ocsp;
mod revocation;
mod timestamp;
