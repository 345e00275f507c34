// SPDX-License-Identifier: Apache-2.0

//! The rules that the API server enforces (CEL).

use schemars::Schema;

use crate::schema;

pub(crate) fn trust_policy_spec(schema: &mut Schema) {
    schema::tidy(schema);
}

pub(crate) fn statement(_: &mut Schema) {}

pub(crate) fn trust_store(_: &mut Schema) {}

pub(crate) fn certificate_source(_: &mut Schema) {}

pub(crate) fn cluster_trust_bundle(_: &mut Schema) {}

pub(crate) fn revocation_list_source(_: &mut Schema) {}

pub(crate) fn image_verification_spec(schema: &mut Schema) {
    schema::tidy(schema);
}
