// SPDX-License-Identifier: Apache-2.0

//! The vocabularies of an `ImageVerification`, beside those of verdicts and reasons.

vocabulary! {
    /// Notation's checks, in the order in which they are made.
    pub enum CheckType {
        /// The envelope is what was signed.
        Integrity = "integrity",
        /// The signer is trusted.
        Authenticity = "authenticity",
        /// The signature was made while the signer's certificates were valid.
        AuthenticTimestamp = "authenticTimestamp",
        /// The signature has not expired.
        Expiry = "expiry",
        /// No certificate is revoked.
        Revocation = "revocation",
    }
}

vocabulary! {
    /// What the failure of a check leads to.
    pub enum CheckAction {
        /// The verdict is Failed.
        Enforce = "enforce",
        /// The verdict is not touched; the failure is noted.
        Log = "log",
        /// The check is not made.
        Skip = "skip",
    }
}

vocabulary! {
    /// How a check came out.
    pub enum CheckResult {
        /// It passed.
        Passed = "Passed",
        /// There is evidence against it.
        Failed = "Failed",
        /// It could not be determined.
        Unknown = "Unknown",
        /// It was not made: its action is `skip`, or an earlier check decided.
        NotEvaluated = "NotEvaluated",
    }
}

vocabulary! {
    /// How the artifact that a signature was made for relates to what runs.
    pub enum SignedVia {
        /// It is the digest that the kubelet reports.
        Exact = "Exact",
        /// The kubelet reports an index, and it is a manifest in it; or a configuration, and it is the manifest of that.
        PlatformManifest = "PlatformManifest",
        /// It is an index that the pod names, and lists the manifest that runs.
        Index = "Index",
    }
}

vocabulary! {
    /// Where revocation answers came from.
    pub enum RevocationMethod {
        /// The Online Certificate Status Protocol (RFC 6960).
        Ocsp = "OCSP",
        /// Certificate revocation lists (RFC 5280).
        Crl = "CRL",
        /// Nowhere: the certificates name no source.
        None = "None",
    }
}

vocabulary! {
    /// What kind of container runs an image.
    pub enum ContainerType {
        /// A container of the pod.
        Container = "Container",
        /// An init container that ends before the containers start.
        InitContainer = "InitContainer",
        /// An init container with `restartPolicy: Always`.
        Sidecar = "Sidecar",
        /// A debug container.
        EphemeralContainer = "EphemeralContainer",
        /// A volume whose content is an image.
        ImageVolume = "ImageVolume",
    }
}

vocabulary! {
    /// Whether a container still runs.
    pub enum ContainerState {
        /// It runs or is about to.
        Running = "Running",
        /// It has ended.
        Terminated = "Terminated",
    }
}
