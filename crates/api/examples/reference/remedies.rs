// SPDX-License-Identifier: Apache-2.0

//! What to do about each reason, as true of this version.

use sealwatch_api::condition::Circumstance;
use sealwatch_api::{ConditionReason, Reason};

/// A reason that nobody wrote a remedy for.
#[derive(Debug)]
pub(crate) struct Missing(ConditionReason);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} has no remedy in the tables of remedies.rs", self.0)
    }
}

impl std::error::Error for Missing {}

/// The remedy for a reason.
pub(crate) fn remedy(reason: ConditionReason) -> Result<&'static str, Missing> {
    let found = match reason {
        ConditionReason::Verdict(reason) => VERDICTS.iter().find(|(known, _)| *known == reason).map(|(_, text)| *text),
        ConditionReason::Circumstance(circumstance) => {
            CIRCUMSTANCES.iter().find(|(known, _)| *known == circumstance).map(|(_, text)| *text)
        }
    };
    found.ok_or(Missing(reason))
}

/// For the reasons of verdicts, in the order of [`Reason::ALL`].
const VERDICTS: &[(Reason, &str)] = &[
    (
        Reason::SignatureValid,
        "Nothing. `status.signature` says who signed, and `status.signature.signer.notAfter` until when.",
    ),
    (
        Reason::FailuresLogged,
        "Read the message and `status.checks`, and decide whether you can live with it. To have the check decide, raise \
         the level to `strict`, or set its `override` to `enforce`.",
    ),
    (
        Reason::LevelSkip,
        "Nothing, if that is what you want. Else give the statement another level, trust stores and identities.",
    ),
    (
        Reason::NoSignature,
        "Ask the image's publisher whether it signs, or sign it yourself: `notation sign REPOSITORY@DIGEST`. If a mirror \
         serves the image, its signatures have to be copied too; `docker pull`, tag and push does not, and neither does \
         `az acr import`; `oras cp -r` does. A signature made for the index does not count for a manifest in it, nor the \
         other way round: sign the digest that stands in `spec.digest`.",
    ),
    (
        Reason::NoApplicableTrustPolicy,
        "Add the repository to a statement's `registryScopes`, written in full (`docker.io/library/nginx`, not `nginx`), \
         or add a statement with the scope `*`. An image that you accept without a signature needs a statement of its \
         own with level `skip`.",
    ),
    (
        Reason::IntegrityFailed,
        "Do not run the image before you know why. Compare with a copy from its origin: if the signature verifies \
         there, something on the way changed it. If it does not, ask the publisher to sign again. The message also says \
         where a certificate of the chain breaks a rule of Notation, such as a key usage that is missing.",
    ),
    (
        Reason::SubjectMismatch,
        "Find out who attached this signature to the image. Media type, digest and size must all be those of the image; \
         a re-pushed image often differs in the first.",
    ),
    (
        Reason::UntrustedChain,
        "If you trust the signer, put the certificate that the message names (or the one above it) into a trust store of \
         type `ca`, and name that store in the statement. Compare fingerprints first: `status.trustStores` of the \
         TrustPolicy lists what is loaded.",
    ),
    (
        Reason::UntrustedIdentity,
        "If you trust this signer, add `x509.subject: ` and the subject that the message names to `trustedIdentities`. \
         Attributes that you leave out may have any value; C, ST and O are required.",
    ),
    (
        Reason::CertificateExpired,
        "Run an image that was signed more recently, or have it signed again. Where the message says that the envelope \
         carries a timestamp, add a `tsa` trust store with the root of the timestamp authority to the statement. \
         `override: {authenticTimestamp: log}` accepts expired certificates, and reports them as `FailuresLogged`.",
    ),
    (
        Reason::CertificateNotYetValid,
        "Compare the time of the machine that Sealwatch runs on with the one in the message. If the clock is right, wait \
         until then; the verdict changes by itself.",
    ),
    (
        Reason::TimestampMissing,
        "Have the image signed with a timestamp (`notation sign --timestamp-url`). Or take the `tsa` trust store out of \
         the statement; then the certificates must be valid today. `verifyTimestamp: afterCertExpiry` asks for a \
         timestamp only once a certificate has expired.",
    ),
    (
        Reason::TimestampInvalid,
        "Compare the message with the trust store: the root of the timestamp authority has to be in a `tsa` trust store \
         of the statement. A token that is broken, or whose time lies outside the validity of the signing certificates, \
         is mended by signing again only.",
    ),
    (Reason::SignatureExpired, "Have the image signed again. The signer chose this end (`notation sign --expiry`)."),
    (
        Reason::Revoked,
        "Stop running the image until its publisher has signed it with another certificate. The message names the \
         certificate and who revoked it since when; a signer or a timestamp authority may be meant.",
    ),
    (
        Reason::ExtensionUnsupported,
        "Have the image signed without the plugin or critical attribute that the message names. Sealwatch runs no \
         plugins.",
    ),
    (
        Reason::SignatureLimitExceeded,
        "Remove signatures from the repository until at most 100 are left (and at most 1,000 referrers of all kinds in \
         the list). Find out who attached so many.",
    ),
    (Reason::Pending, "Wait some seconds. If it stays, look whether the operator runs (`/readyz`) and what it logs."),
    (
        Reason::RegistryUnavailable,
        "Check that the operator can reach the registry by the name in the message: name resolution, firewall, TLS. It \
         uses the certificate authorities of the system that it runs on and those of `registries.yaml`, the proxies of \
         its environment, and plain HTTP only for hosts of `registries.yaml` (see registries.md). It tries again by \
         itself.",
    ),
    (
        Reason::RegistryUnauthorized,
        "Give a pull secret for exactly this host to the pods or to `spec.imagePullSecrets`, or credentials in \
         `registries.yaml`. A secret that the registry refuses is not replaced by an anonymous attempt: take it away if \
         the repository is public.",
    ),
    (
        Reason::RegistryThrottled,
        "Nothing: Sealwatch waits as long as the registry asks. If it happens often, lengthen `spec.interval`, or use an \
         account with a higher limit.",
    ),
    (
        Reason::CredentialsForbidden,
        "Grant the operator's service account `get` on Secrets in this namespace (`config/rbac/role.yaml` does).",
    ),
    (
        Reason::EgressRefused,
        "If the address is the one you expect, name its host and port in `registries.yaml`, or allow its range with \
         `--allow-egress`. If it is not, find out why a registry points there.",
    ),
    (
        Reason::ImageNotFound,
        "See whether the digest is still in the registry. It is missing if it was deleted, if the image was loaded into \
         the node from a file, or if a mirror serves a re-made copy: then push the very same image, or run the one that \
         the registry has.",
    ),
    (
        Reason::DigestUnresolvable,
        "The message says what was looked at. Push the very image that was loaded under the reference that the pod has, or \
         let the node pull the one that is there. In an ImageVerification written by hand, correct `spec.image` or \
         `spec.digest` by making a new one: its spec cannot be changed.",
    ),
    (
        Reason::SignaturesNotMirrored,
        "Copy the signatures to the mirror (`sealwatch mirror` copies them, `oras cp -r` the image with what refers to \
         it), or let the operator reach the origin, or say under `signatures` in `registries.yaml` where they are, or that \
         there are no others (see registries.md).",
    ),
    (
        Reason::DigestMismatch,
        "Look for what changes content between the registry and the operator: a proxy that answers with a page of its \
         own, a broken cache, a defective disk. Sealwatch tries again by itself.",
    ),
    (
        Reason::RevocationUnknown,
        "The message names what could not be asked, and why. Let the operator reach it over plain HTTP (a private address \
         needs `--allow-egress`), or bring the list in `spec.revocation.crls`. `override: {revocation: log}` leaves the \
         check out of the verdict and reports it as `FailuresLogged`; `skip` leaves it out altogether. Both accept a \
         certificate that has been revoked, and neither is about timestamp authorities. In the `Ready` condition of a \
         kept verdict: older answers are used until they end.",
    ),
    (
        Reason::TrustPolicyNotFound,
        "Make the TrustPolicy, or delete this ImageVerification and make one that names an existing TrustPolicy of the \
         same namespace.",
    ),
    (Reason::TrustPolicyInvalid, "Correct the TrustPolicy: its `Stalled` condition names the field and the rule."),
    (
        Reason::TrustStoreUnavailable,
        "Make the ConfigMap and key that the message names, or correct what is in it: PEM or DER certificates, each a CA \
         or self-signed. A Secret that was corrected is read \
         again within half a minute, or at once on `sealwatch.dev/requestedAt`. For pins, compare `spec.trustStores` with \
         the fingerprints that the message names, and those with what your vendor publishes.",
    ),
    (
        Reason::Stale,
        "Mend what kept Sealwatch from checking: the `Ready` condition names it. If the site is often offline for longer, \
         lengthen `spec.staleAfter`.",
    ),
];

/// For the reasons of conditions alone, in the order of [`Circumstance::ALL`].
const CIRCUMSTANCES: &[(Circumstance, &str)] = &[
    (Circumstance::Succeeded, "Nothing."),
    (Circumstance::Progressing, "Wait some seconds."),
    (Circumstance::Suspended, "Set `spec.suspend` to false to go on."),
    (
        Circumstance::NoImages,
        "Nothing, if no pod is meant to run here yet. Else check `spec.podSelector`, and whether the pods have started.",
    ),
    (
        Circumstance::PodsForbidden,
        "Apply `config/rbac`; the message holds what the API server says. It heals by itself once the right is there.",
    ),
    (
        Circumstance::CacheStale,
        "Check the connection between operator and API server, and the operator's rights; the message names the kinds \
         that are not seen, `/readyz` and the metric `sealwatch_watch_age_seconds` do so too. Verdicts are kept meanwhile, \
         but an image that started since may be missing. It is said on TrustPolicies, once for all their images, and \
         never on each of these. It heals by itself, within 10 s.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_one_remedy_in_whole_sentences() {
        let verdicts: Vec<Reason> = VERDICTS.iter().map(|(reason, _)| *reason).collect();
        let circumstances: Vec<Circumstance> = CIRCUMSTANCES.iter().map(|(circumstance, _)| *circumstance).collect();
        assert_eq!(verdicts, Reason::ALL);
        assert_eq!(circumstances, Circumstance::ALL);
        for reason in ConditionReason::all() {
            let text = remedy(reason).unwrap();
            assert!(text.starts_with(|first: char| first.is_uppercase()) && text.ends_with('.'), "{reason}: {text}");
        }
    }
}
