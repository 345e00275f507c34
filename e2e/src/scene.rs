// SPDX-License-Identifier: Apache-2.0

//! What the demo and the operator's tests are about: a PKI whose names follow Microsoft's, and images that are signed
//! well, badly or not at all.

mod crowd;
mod remote;
mod tamper;

pub use crowd::crowd;
pub use tamper::attach;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::testenv::pki::{KeyKind, NameAttribute, Root, SigningKey, Validity};
use crate::testenv::{Format, Notation, PushedImage, Registry, Result, SignOptions};

/// The subject of the first trusted identity, as the seed's trust policy writes it.
pub const OPERATIONS: &str = "CN=Azure IoT Operations,O=Microsoft Corporation,L=Redmond,ST=Washington,C=US";
/// The subject of the second trusted identity.
pub const PRODUCTS: &str = "CN=Microsoft SCD Products RSA Signing,O=Microsoft Corporation,L=Redmond,ST=Washington,C=US";
/// The ConfigMap that holds the trusted root, and its key.
pub const ROOTS: (&str, &str) = ("microsoft-roots", "msft_signing_cert.crt");

/// How long the signature lives that is to expire.
const SHORT: Duration = Duration::from_secs(1);

/// Two roots, of which one is trusted, and the keys that sign.
#[derive(Debug)]
pub struct Pki {
    /// The trusted root.
    pub root: Root,
    /// `CN=Azure IoT Operations`
    pub operations: SigningKey,
    /// `CN=Microsoft SCD Products RSA Signing`
    pub products: SigningKey,
    /// An identity of the trusted root that no policy names.
    pub stranger: SigningKey,
    /// The first identity's name under another root.
    pub impostor: SigningKey,
}

impl Pki {
    /// Makes all keys and certificates.
    ///
    /// # Errors
    /// A key cannot be made.
    pub fn new(kind: KeyKind) -> Result<Self> {
        let root = Root::new(&name("Microsoft Supply Chain RSA Root CA 2022 (test)"), kind)?;
        let other = Root::new(&name("Somebody Else's Root CA (test)"), kind)?;
        let leaf = |root: &Root, common_name| root.issue(&name(common_name), kind, Validity::default());
        Ok(Self {
            operations: leaf(&root, "Azure IoT Operations")?,
            products: leaf(&root, "Microsoft SCD Products RSA Signing")?,
            stranger: leaf(&root, "Contoso Image Signing")?,
            impostor: leaf(&other, "Azure IoT Operations")?,
            root,
        })
    }
}

/// A subject of Microsoft's form.
pub fn name(common_name: &str) -> [NameAttribute<'_>; 5] {
    [("C", "US"), ("ST", "Washington"), ("L", "Redmond"), ("O", "Microsoft Corporation"), ("CN", common_name)]
}

/// What is done to an image after it was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// By the first identity, in COSE.
    Cose,
    /// By the first identity, in JWS.
    Jws,
    /// By the second identity.
    BySecondIdentity,
    /// Not at all.
    Not,
    /// By an identity that is not trusted.
    ByStranger,
    /// By another root, under a trusted name.
    ByOtherRoot,
    /// So that the signature has expired.
    Expired,
    /// And the signature was changed afterwards.
    Tampered,
}

impl Signed {
    /// All, in the order in which the demo shows them.
    pub const ALL: [Self; 8] = [
        Self::Cose,
        Self::Jws,
        Self::BySecondIdentity,
        Self::Not,
        Self::ByStranger,
        Self::ByOtherRoot,
        Self::Expired,
        Self::Tampered,
    ];

    /// The repository of the image, below the registry.
    pub fn repository(self) -> &'static str {
        match self {
            Self::Cose => "azureiotoperations/aio-operator",
            Self::Jws => "azureiotoperations/aio-broker",
            Self::BySecondIdentity => "azureiotoperations/otel-collector",
            Self::Not => "azureiotoperations/dataflow-operator",
            Self::ByStranger => "azureiotoperations/schema-registry",
            Self::ByOtherRoot => "azureiotoperations/akri-connector",
            Self::Expired => "azureiotoperations/state-store",
            Self::Tampered => "azureiotoperations/opc-ua-broker",
        }
    }

    /// What was done, for a reader.
    pub fn caption(self) -> &'static str {
        match self {
            Self::Cose => "signed, COSE",
            Self::Jws => "signed, JWS",
            Self::BySecondIdentity => "signed by the second identity",
            Self::Not => "not signed",
            Self::ByStranger => "signed by an identity that is not trusted",
            Self::ByOtherRoot => "signed under another root",
            Self::Expired => "signature expired",
            Self::Tampered => "signature tampered with",
        }
    }

    /// The reason that its verdict is expected to have under the seed's trust policy.
    pub fn expected(self) -> &'static str {
        match self {
            Self::Cose | Self::Jws | Self::BySecondIdentity => "SignatureValid",
            Self::Not => "NoSignature",
            Self::ByStranger => "UntrustedIdentity",
            Self::ByOtherRoot => "UntrustedChain",
            Self::Expired => "SignatureExpired",
            Self::Tampered => "IntegrityFailed",
        }
    }

    /// The last segment of the repository: what pods and `ImageVerification`s are named after.
    pub fn short(self) -> &'static str {
        self.repository().rsplit('/').next().unwrap_or_default()
    }
}

/// A registry's images, each pushed and signed.
#[derive(Debug, Default)]
pub struct Images {
    images: BTreeMap<&'static str, (Signed, PushedImage)>,
}

impl Images {
    /// Pushes and signs one image of each of these.
    ///
    /// # Errors
    /// The registry or `notation` refuses something.
    pub async fn push(
        registry: &Registry,
        notation: &Notation,
        pki: &Pki,
        which: &[Signed],
        referrers_api: bool,
    ) -> Result<Self> {
        let mut images = Self::default();
        for signed in which {
            let contents = format!("{} {}", signed.repository(), signed.caption());
            let image = registry.push_image(signed.repository(), "1.2.36", &contents).await?;
            sign(registry, notation, pki, *signed, &image, referrers_api).await?;
            images.images.insert(signed.short(), (*signed, image));
        }
        if which.contains(&Signed::Expired) {
            // Nothing announces that a signature has expired; a second more than its life has to pass.
            tokio::time::sleep(SHORT + Duration::from_secs(1)).await;
        }
        Ok(images)
    }

    /// The image of that kind.
    ///
    /// # Errors
    /// It was not pushed.
    pub fn of(&self, signed: Signed) -> Result<&PushedImage> {
        let image = self.images.get(signed.short());
        Ok(image.map(|(_, image)| image).ok_or_else(|| format!("no image {signed:?} was pushed"))?)
    }

    /// Every image.
    pub fn iter(&self) -> impl Iterator<Item = (Signed, &PushedImage)> {
        self.images.values().map(|(signed, image)| (*signed, image))
    }
}

async fn sign(
    registry: &Registry,
    notation: &Notation,
    pki: &Pki,
    signed: Signed,
    image: &PushedImage,
    referrers_api: bool,
) -> Result<()> {
    let (key, format) = match signed {
        Signed::Not => return Ok(()),
        Signed::Cose | Signed::Expired => (&pki.operations, Format::Cose),
        Signed::Jws | Signed::Tampered => (&pki.operations, Format::Jws),
        Signed::BySecondIdentity => (&pki.products, Format::Cose),
        Signed::ByStranger => (&pki.stranger, Format::Jws),
        Signed::ByOtherRoot => (&pki.impostor, Format::Cose),
    };
    let expiry = (signed == Signed::Expired).then_some(SHORT);
    notation
        .entering(registry)
        .sign(&image.by_digest(), key, &SignOptions { format, referrers_api, expiry, ..SignOptions::default() })
        .await?;
    if signed == Signed::Tampered {
        tamper::change_signature(registry, image, referrers_api).await?;
    }
    Ok(())
}

/// The seed's trust policy document.
pub fn seed_document() -> Value {
    json!({
        "version": "1.0",
        "trustPolicies": [{
            "name": "supplychain",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:supplychain"],
            "trustedIdentities": [format!("x509.subject: {OPERATIONS}"), format!("x509.subject: {PRODUCTS}")],
        }],
    })
}

/// A `TrustPolicy` with that document, whose trust store is the ConfigMap of [`roots`].
pub fn trust_policy(name: &str, document: &Value) -> Value {
    let mut spec = document.clone();
    let (map, key) = ROOTS;
    spec["trustStores"] = json!([{
        "type": "ca", "name": "supplychain", "certificates": [{"configMapKeyRef": {"name": map, "key": key}}],
    }]);
    json!({"apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy", "metadata": {"name": name}, "spec": spec})
}

/// The ConfigMap that holds the trusted root.
pub fn roots(pem: &str) -> Value {
    let (map, key) = ROOTS;
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": map}, "data": {key: pem}})
}

/// A registries.yaml by which these registries can be asked: in plain HTTP, or with their authority's certificate.
pub fn registries(registries: &[&Registry]) -> Value {
    let (mut mirrors, mut configs) = (serde_json::Map::new(), serde_json::Map::new());
    for registry in registries {
        let (mirror, config) = registry.entries();
        mirrors.extend(mirror.map(|mirror| (registry.host(), mirror)));
        configs.extend(config);
    }
    json!({"mirrors": mirrors, "configs": configs})
}

/// Objects as one file of YAML documents, as `kubectl apply -f` and `--policy` take it.
///
/// # Errors
/// An object has no form in YAML.
pub fn documents(objects: &[Value]) -> Result<String> {
    let texts: Result<Vec<String>, _> = objects.iter().map(serde_saphyr::to_string).collect();
    Ok(texts?.join("---\n"))
}

/// Writes a registries.yaml into a folder, and beside it the certificates of the authorities of these registries, as
/// they are mounted into the operator's pod.
///
/// # Errors
/// A file cannot be written.
pub fn write_registries(folder: &Path, contents: &Value, registries: &[&Registry]) -> Result<PathBuf> {
    for registry in registries {
        if let (Some(file), Some(name)) = (registry.authority_file(), registry.authority_name()) {
            let name = Path::new(&name).file_name().unwrap_or_default();
            std::fs::copy(file, folder.join(name))?;
        }
    }
    let path = folder.join("registries.yaml");
    // JSON is YAML.
    std::fs::write(&path, contents.to_string())?;
    Ok(path)
}
