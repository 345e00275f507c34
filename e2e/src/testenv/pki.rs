// SPDX-License-Identifier: Apache-2.0

//! A two-tier test PKI: a root, and leaves that sign.
//!
//! The certificates keep the rules that the Notary Project has for a signing chain: key usages are critical, the root
//! may sign certificates and revocation lists and the leaf only data. A certificate names a source of revocation answers
//! only if it is told to.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::string::PrintableString;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint,
    DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, RevokedCertParams, RsaKeySize, SanType,
    SerialNumber, date_time_ymd,
};

use super::Result;

/// One attribute of a distinguished name: type (`CN`, `O`, `OU`, `L`, `ST`, `C`) and value.
pub type NameAttribute<'a> = (&'a str, &'a str);

/// The kind of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256
    #[default]
    EcP256,
    /// ECDSA on P-384
    EcP384,
    /// RSA with 2048 bits; making one takes up to a second
    Rsa2048,
    /// RSA with 3072 bits; making one takes up to some seconds
    Rsa3072,
}

/// From when until when a certificate is valid, relative to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Valid since so long ago.
    pub since: Duration,
    /// Seconds from now until the end; negative for a certificate that has expired.
    pub ends_in_seconds: i64,
}

impl Default for Validity {
    /// Since an hour ago, for a year.
    fn default() -> Self {
        Self { since: Duration::from_hours(1), ends_in_seconds: 365 * 24 * 3600 }
    }
}

/// A root certificate with its key.
pub struct Root {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

/// A key that signs, with its certificate chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// A name for it, unique in the process; fit for a file name.
    pub name: String,
    /// The private key, PKCS #8 in PEM.
    pub key_pem: String,
    /// Leaf first, root last, in PEM.
    pub chain_pem: String,
    /// The serial number of the leaf.
    pub serial: u64,
}

/// What a TLS server shows, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerKey {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The private key, PKCS #8 in PEM.
    pub key_pem: String,
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("pem", &self.pem).finish_non_exhaustive()
    }
}

impl Root {
    /// A self-signed root of this subject, for example `[("CN", "Test Root"), ("O", "Test"), ("C", "US")]`, valid since
    /// a day ago and for ten years.
    ///
    /// # Errors
    /// An attribute is not one of those of [`NameAttribute`].
    pub fn new(subject: &[NameAttribute<'_>], kind: KeyKind) -> Result<Self> {
        let validity = Validity { since: Duration::from_hours(24), ends_in_seconds: 10 * 365 * 24 * 3600 };
        Self::lasting(subject, kind, validity)
    }

    /// The same, for as long as this.
    ///
    /// # Errors
    /// As [`Root::new`].
    pub fn lasting(subject: &[NameAttribute<'_>], kind: KeyKind, validity: Validity) -> Result<Self> {
        let mut parameters = parameters(subject, validity)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(parameters, kind.generate()?)?;
        let pem = issuer.pem();
        Ok(Self { issuer, pem })
    }

    /// The certificate in PEM, as it goes into a trust store.
    pub fn certificate_pem(&self) -> &str {
        &self.pem
    }

    /// The certificate in DER.
    pub fn certificate_der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// Issues a leaf for code signing.
    ///
    /// # Errors
    /// As [`Root::new`].
    pub fn issue(&self, subject: &[NameAttribute<'_>], kind: KeyKind, validity: Validity) -> Result<SigningKey> {
        self.issue_listed(subject, kind, validity, None)
    }

    /// Issues a leaf whose revocation list is at this URL, if one is given.
    ///
    /// # Errors
    /// As [`Root::new`].
    pub fn issue_listed(
        &self,
        subject: &[NameAttribute<'_>],
        kind: KeyKind,
        validity: Validity,
        list_url: Option<&str>,
    ) -> Result<SigningKey> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let serial = u64::from(number).saturating_add(1_000);
        let mut parameters = parameters(subject, validity)?;
        parameters.serial_number = Some(SerialNumber::from(serial));
        parameters.crl_distribution_points =
            list_url.map(|url| CrlDistributionPoint { uris: vec![url.to_owned()] }).into_iter().collect();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
        parameters.use_authority_key_identifier_extension = true;
        let key = kind.generate()?;
        let leaf = parameters.signed_by(&key, &self.issuer)?;
        Ok(SigningKey {
            name: format!("key-{number}"),
            key_pem: key.serialize_pem(),
            chain_pem: format!("{}{}", leaf.pem(), self.pem),
            serial,
        })
    }

    /// Issues the certificate of a TLS server at these addresses.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn issue_server(&self, addresses: &[IpAddr]) -> Result<ServerKey> {
        let mut parameters = parameters(&[("CN", "Server")], Validity::default())?;
        parameters.subject_alt_names = addresses.iter().copied().map(SanType::IpAddress).collect();
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyKind::default().generate()?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(ServerKey { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// A revocation list in DER with these serial numbers in it, issued now, for so many seconds.
    ///
    /// # Errors
    /// It cannot be signed.
    pub fn list(&self, revoked: &[u64], ends_in: Duration) -> Result<Vec<u8>> {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let at = date_time_ymd(1970, 1, 1) + now;
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: at,
            reason_code: None,
            invalidity_date: None,
        };
        let parameters = CertificateRevocationListParams {
            this_update: at,
            next_update: at + ends_in,
            crl_number: SerialNumber::from(u64::from(NUMBER.fetch_add(1, Ordering::Relaxed))),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(parameters.signed_by(&self.issuer)?.der().to_vec())
    }
}

impl KeyKind {
    fn generate(self) -> Result<KeyPair> {
        Ok(match self {
            Self::EcP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            Self::EcP384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?,
            Self::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
            Self::Rsa3072 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)?,
        })
    }
}

fn parameters(subject: &[NameAttribute<'_>], validity: Validity) -> Result<CertificateParams> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = distinguished_name(subject)?;
    let epoch = date_time_ymd(1970, 1, 1);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let end = i64::try_from(now.as_secs())?.checked_add(validity.ends_in_seconds).ok_or("the end is out of range")?;
    parameters.not_before = epoch + now.saturating_sub(validity.since);
    parameters.not_after = epoch + Duration::from_secs(u64::try_from(end)?);
    Ok(parameters)
}

fn distinguished_name(subject: &[NameAttribute<'_>]) -> Result<DistinguishedName> {
    let mut name = DistinguishedName::new();
    for &(attribute, value) in subject {
        let text = DnValue::Utf8String(value.to_owned());
        match attribute {
            "CN" => name.push(DnType::CommonName, text),
            "O" => name.push(DnType::OrganizationName, text),
            "OU" => name.push(DnType::OrganizationalUnitName, text),
            "L" => name.push(DnType::LocalityName, text),
            "ST" => name.push(DnType::StateOrProvinceName, text),
            // RFC 5280 Appendix A.1: X520countryName is a PrintableString.
            "C" => name.push(DnType::CountryName, DnValue::PrintableString(PrintableString::try_from(value)?)),
            other => return Err(format!("unknown attribute type '{other}' in a subject").into()),
        }
    }
    Ok(name)
}
