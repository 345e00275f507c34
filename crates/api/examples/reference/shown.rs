// SPDX-License-Identifier: Apache-2.0

//! Which test reaches each reason, through the real operator on a real API server: a reason that nothing leads to is a
//! promise that nobody has seen kept.

use sealwatch_api::condition::Circumstance;
use sealwatch_api::{ConditionReason, Reason};

/// A test: its file below the repository's root without `e2e/tests/` and `.rs`, and its name.
pub(crate) type Test = (&'static str, &'static str);

/// For the reasons of verdicts, in the order of [`Reason::ALL`].
const VERDICTS: &[(Reason, Test)] = &[
    (Reason::SignatureValid, ("operator", "every_image_gets_the_verdict_that_its_signature_deserves")),
    (Reason::FailuresLogged, ("revocation", "an_edit_asks_about_revocation_alone_and_a_second_one_nobody")),
    (
        Reason::LevelSkip,
        ("operator_conditions", "an_image_that_a_statement_skips_is_skipped_by_name_and_no_registry_is_asked"),
    ),
    (Reason::NoSignature, ("operator", "every_image_gets_the_verdict_that_its_signature_deserves")),
    (Reason::NoApplicableTrustPolicy, ("operator", "two_policies_of_a_namespace_judge_every_image_independently")),
    (Reason::IntegrityFailed, ("operator", "every_image_gets_the_verdict_that_its_signature_deserves")),
    (
        Reason::SubjectMismatch,
        ("operator_reasons", "signatures_that_no_tool_makes_fail_for_the_reason_that_they_deserve"),
    ),
    (
        Reason::UntrustedChain,
        ("operator", "a_broken_or_foreign_signature_hides_no_good_one_and_the_most_telling_failure_is_kept"),
    ),
    (Reason::UntrustedIdentity, ("operator", "no_image_is_seen_verified_under_a_policy_that_refuses_it")),
    (
        Reason::CertificateExpired,
        ("operator_reasons", "signatures_that_no_tool_makes_fail_for_the_reason_that_they_deserve"),
    ),
    (
        Reason::CertificateNotYetValid,
        ("operator_reasons", "signatures_that_no_tool_makes_fail_for_the_reason_that_they_deserve"),
    ),
    (
        Reason::TimestampMissing,
        ("timestamps", "a_timestamp_that_is_missing_or_of_a_stranger_fails_also_while_the_certificate_is_valid"),
    ),
    (
        Reason::TimestampInvalid,
        ("timestamps", "a_timestamp_that_is_missing_or_of_a_stranger_fails_also_while_the_certificate_is_valid"),
    ),
    (Reason::SignatureExpired, ("operator", "a_signature_that_expires_turns_its_image_failed_with_the_network_down")),
    (Reason::Revoked, ("revocation", "a_signer_that_is_revoked_turns_its_image_failed_and_back")),
    (
        Reason::ExtensionUnsupported,
        ("operator_reasons", "signatures_that_no_tool_makes_fail_for_the_reason_that_they_deserve"),
    ),
    (
        Reason::SignatureLimitExceeded,
        ("operator_reasons", "more_signatures_than_are_looked_at_fail_and_name_the_limit"),
    ),
    (Reason::Pending, ("operator_reasons", "a_registry_that_refuses_delays_or_lies_turns_nothing_failed")),
    (Reason::RegistryUnavailable, ("operator", "a_new_image_closes_the_gate_before_its_registry_is_asked")),
    (Reason::RegistryUnauthorized, ("operator_reasons", "a_registry_that_refuses_delays_or_lies_turns_nothing_failed")),
    (Reason::RegistryThrottled, ("operator_reasons", "a_registry_that_refuses_delays_or_lies_turns_nothing_failed")),
    (
        Reason::CredentialsForbidden,
        ("operator_faults", "a_pull_secret_that_is_missing_is_passed_over_and_one_that_may_not_be_read_is_said"),
    ),
    (Reason::EgressRefused, ("operator_reasons", "a_registry_that_refuses_delays_or_lies_turns_nothing_failed")),
    (
        Reason::ImageNotFound,
        ("operator", "init_sidecar_and_debug_containers_are_verified_in_every_form_that_a_node_reports_them"),
    ),
    (
        Reason::DigestUnresolvable,
        ("operator", "init_sidecar_and_debug_containers_are_verified_in_every_form_that_a_node_reports_them"),
    ),
    (
        Reason::SignaturesNotMirrored,
        ("operator_reasons", "an_image_at_a_mirror_without_signatures_is_not_known_to_be_unsigned"),
    ),
    (Reason::DigestMismatch, ("operator_reasons", "a_registry_that_refuses_delays_or_lies_turns_nothing_failed")),
    (Reason::RevocationUnknown, ("revocation", "what_could_never_be_learnt_is_unknown_until_the_list_is_brought")),
    (
        Reason::TrustPolicyNotFound,
        ("operator", "an_image_verification_that_a_person_wrote_is_looked_after_and_not_counted"),
    ),
    (Reason::TrustPolicyInvalid, ("operator_faults", "a_policy_that_only_we_can_judge_is_stalled_and_stops_no_other")),
    (
        Reason::TrustStoreUnavailable,
        ("operator_faults", "a_trust_store_without_its_config_map_is_unknown_and_heals_when_it_comes"),
    ),
    (Reason::Stale, ("operator_conditions", "a_suspended_policy_asks_nobody_and_its_verdicts_go_on_ageing")),
];

/// For the reasons of conditions alone, in the order of [`Circumstance::ALL`].
const CIRCUMSTANCES: &[(Circumstance, Test)] = &[
    (Circumstance::Succeeded, ("operator", "every_image_gets_the_verdict_that_its_signature_deserves")),
    (Circumstance::Progressing, ("operator_reasons", "a_registry_that_refuses_delays_or_lies_turns_nothing_failed")),
    (Circumstance::Suspended, ("operator_conditions", "a_suspended_policy_asks_nobody_and_its_verdicts_go_on_ageing")),
    (Circumstance::NoImages, ("operator_conditions", "a_request_where_nothing_runs_is_handled_at_once")),
    (Circumstance::PodsForbidden, ("operator_faults", "pods_that_may_not_be_listed_are_said_and_heal")),
    (
        Circumstance::CacheStale,
        ("operator_sight", "a_watch_that_falls_silent_is_said_everywhere_and_heals_without_a_restart"),
    ),
];

/// A reason that no test reaches.
#[derive(Debug)]
pub(crate) struct Unseen(ConditionReason);

impl std::fmt::Display for Unseen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is reached by no test: name one in examples/reference/shown.rs", self.0)
    }
}

impl std::error::Error for Unseen {}

/// The test that reaches a reason.
pub(crate) fn shown_by(reason: ConditionReason) -> Result<Test, Unseen> {
    let known = match reason {
        ConditionReason::Verdict(reason) => VERDICTS.iter().find(|(known, _)| *known == reason).map(|(_, test)| *test),
        ConditionReason::Circumstance(reason) => {
            CIRCUMSTANCES.iter().find(|(known, _)| *known == reason).map(|(_, test)| *test)
        }
    };
    known.ok_or(Unseen(reason))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The attributes and the body of a test, if the file has it.
    fn source<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
        let at = text.find(&format!("async fn {name}()"))?;
        let (before, after) = text.split_at(at);
        // Attributes and comments stand between the end of the item before and the test.
        let attributes = before.rsplit_once("\n}\n").map_or(before, |(_, attributes)| attributes);
        Some((attributes, after.split_once("\n}\n").map_or(after, |(body, _)| body)))
    }

    fn says(body: &str, word: &str) -> bool {
        body.split(|character: char| !character.is_ascii_alphanumeric()).any(|found| found == word)
    }

    #[test]
    fn every_reason_is_reached_by_an_end_to_end_test_that_names_it() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/tests");
        for reason in ConditionReason::all() {
            let (file, name) = shown_by(reason).unwrap_or_else(|unseen| panic!("{unseen}"));
            let text = fs::read_to_string(folder.join(format!("{file}.rs")));
            let text = text.unwrap_or_else(|error| panic!("{reason}: e2e/tests/{file}.rs: {error}"));
            let (attributes, body) =
                source(&text, name).unwrap_or_else(|| panic!("{reason}: e2e/tests/{file}.rs has no test {name}"));
            assert!(attributes.contains("#[tokio::test"), "{reason}: {name} is no test");
            assert!(!attributes.contains("#[ignore"), "{reason}: {name} is not run");
            assert!(says(body, reason.as_str()), "{reason}: {name} does not name it");
        }
    }

    #[test]
    fn a_test_that_is_gone_or_names_another_reason_is_noticed() {
        let text =
            "fn helper() {\n}\n\n#[tokio::test]\nasync fn one() -> Result<()> {\n    \"Stale\"\n}\n\nfn two() {\n}\n";
        let (attributes, body) = source(text, "one").unwrap();
        assert!(attributes.contains("#[tokio::test]"));
        assert!(says(body, "Stale") && !says(body, "Stal") && !says(body, "two"));
        assert!(source(text, "three").is_none());
    }
}
