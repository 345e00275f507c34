// SPDX-License-Identifier: Apache-2.0
//! How the judgement of `sealwatch-notation` compares with the rules of the Notary Project, and with its reference
//! implementation, notation-go.

pub mod mutation;
pub mod rules;
