// SPDX-License-Identifier: Apache-2.0
//! The `imageID` of a pod's status, in all forms that container runtimes report.

use std::str::FromStr;

use crate::digest::{Digest, DigestError};
use crate::limits::MAX_REFERENCE_BYTES;
use crate::reference::{Reference, ReferenceError, Repository};

/// What `imageID` says about the image that a container runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ImageId {
    /// `repository@digest`: the digest of a manifest or an index.
    ///
    /// The repository is one under which the node knows the digest, not always the one that the pod names.
    RepoDigest {
        /// A repository under which the node knows the image.
        repository: Repository,
        /// The digest of its manifest or index.
        digest: Digest,
    },
    /// A digest alone: that of the image's configuration (side-loaded images, CRI-O), or of a manifest.
    Digest(Digest),
    /// Not running yet.
    Empty,
}

/// Why an `imageID` is none of the known forms.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageIdError {
    /// Longer than [`MAX_REFERENCE_BYTES`].
    #[error("imageID is longer than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A repository or a tag without a digest.
    #[error("imageID has no digest")]
    NoDigest,
    /// The digest is malformed.
    #[error("imageID: {0}")]
    Digest(#[from] DigestError),
    /// The repository is malformed.
    #[error("imageID: {0}")]
    Reference(#[from] ReferenceError),
}

/// Schemes that runtimes have put before the image. Source: kubelet and dockershim.
const SCHEMES: [&str; 3] = ["docker-pullable://", "docker://", "containerd://"];

impl FromStr for ImageId {
    type Err = ImageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_REFERENCE_BYTES {
            return Err(ImageIdError::TooLong { limit: MAX_REFERENCE_BYTES });
        }
        let image = SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
        if image.is_empty() {
            return Ok(Self::Empty);
        }
        if let Some(digest) = bare_digest(image) {
            return Ok(Self::Digest(digest?));
        }
        if !image.contains('@') {
            return Err(ImageIdError::NoDigest);
        }
        let reference: Reference = image.parse()?;
        let digest = reference.digest().ok_or(ImageIdError::NoDigest)?.clone();
        Ok(Self::RepoDigest { repository: reference.repository().clone(), digest })
    }
}

/// `algorithm:hex` or, as CRI-O writes it, 64 hexadecimal digits alone.
fn bare_digest(image: &str) -> Option<Result<Digest, DigestError>> {
    if image.len() == 64 && image.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(format!("sha256:{image}").parse());
    }
    let (name, _) = image.split_once(':')?;
    matches!(name, "sha256" | "sha384" | "sha512").then(|| image.parse())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex() -> String {
        "0123456789abcdef".repeat(4)
    }

    fn repo_digest(text: &str) -> (String, String) {
        match text.parse().unwrap() {
            ImageId::RepoDigest { repository, digest } => (repository.to_string(), digest.to_string()),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_identifies_nothing_is_refused_with_its_reason() {
        let cases = [
            ("nginx".to_owned(), ImageIdError::NoDigest),
            ("docker.io/library/nginx:1.27".to_owned(), ImageIdError::NoDigest),
            ("docker://nginx".to_owned(), ImageIdError::NoDigest),
            (format!("sha256:{}", hex().to_uppercase()), ImageIdError::Digest(DigestError::NotLowerHex)),
            (hex().to_uppercase(), ImageIdError::Digest(DigestError::NotLowerHex)),
            ("x".repeat(1_025), ImageIdError::TooLong { limit: 1_024 }),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<ImageId>(), Err(expected), "{text}");
        }
        for text in ["nginx@", "@sha256:00", "nginx@md5:00", "NGINX/x@sha256:00", "nginx@sha256:00@sha256:00"] {
            assert!(text.parse::<ImageId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_container_that_has_not_started_has_an_empty_image_id() {
        assert_eq!("".parse(), Ok(ImageId::Empty));
    }

    #[test]
    fn every_form_with_a_repository_gives_repository_and_digest() {
        let digest = format!("sha256:{}", hex());
        for (text, repository) in [
            ("mcr.microsoft.com/a/b", "mcr.microsoft.com/a/b"),
            ("docker-pullable://nginx", "docker.io/library/nginx"),
            ("docker://quay.io/a", "quay.io/a"),
            ("containerd://[::1]:5000/a", "[::1]:5000/a"),
            ("localhost:5000/a:v1", "localhost:5000/a"),
        ] {
            assert_eq!(repo_digest(&format!("{text}@{digest}")), (repository.to_owned(), digest.clone()));
        }
        let long = format!("sha512:{}", hex().repeat(2));
        assert_eq!(repo_digest(&format!("a.test/b@{long}")).1, long);
    }

    #[test]
    fn a_digest_alone_is_not_taken_for_a_repository() {
        let expected = ImageId::Digest(format!("sha256:{}", hex()).parse().unwrap());
        for text in [hex(), format!("sha256:{}", hex()), format!("docker://sha256:{}", hex())] {
            assert_eq!(text.parse(), Ok(expected.clone()));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = text.parse::<ImageId>();
        }

        #[test]
        fn no_text_like_an_image_id_makes_the_parser_panic(text in "(docker://)?[a-z.:/@0-9\\[\\]]{0,80}(@sha256:[0-9a-f]{60,66})?") {
            let _ = text.parse::<ImageId>();
        }
    }
}
