// SPDX-License-Identifier: Apache-2.0

use std::fs;

use clap::Parser as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CrlDistributionPoint,
    DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber, date_time_ymd,
};
use sealwatch_api::TrustPolicy;
use sealwatch_verifier::notation::{Certificate, RevocationList, RevocationQuestion};
use serde_json::{Value, json};

use super::*;
use crate::{
    args::{Arguments, Command},
    naming::CONFIG_MAP_MOST,
    verify::policy_file::{Policy, manifest::Manifest},
};

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self { issuer: CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap() }
    }

    /// Who asks for the list at this URL.
    fn question(&self, url: &str) -> RevocationQuestion {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "signer");
        parameters.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![url.to_owned()] }];
        let leaf = parameters.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap();
        let [leaf, issuer] = [leaf.der(), self.issuer.der()].map(|der| Certificate::from_der(der).unwrap());
        RevocationQuestion::of_lists(&leaf, &issuer).remove(0).remove(0)
    }

    /// The list at this URL, with so many entries.
    fn list(&self, url: &str, entries: u64) -> Fetched {
        let entry = |number| RevokedCertParams {
            serial_number: SerialNumber::from(number),
            revocation_time: date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2026, 1, 1),
            next_update: date_time_ymd(2036, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: (0..entries).map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let der = parameters.signed_by(&self.issuer).unwrap().der().to_vec();
        let list = RevocationList::from_der(der).unwrap();
        Fetched { question: self.question(url), list, is_delta: false }
    }
}

fn policy(crls: &Value) -> TrustPolicy {
    let policy = json!({
        "apiVersion": "sealwatch.dev/v1alpha1", "kind": "TrustPolicy",
        "metadata": {
            "name": "p", "namespace": "shop", "uid": "1", "resourceVersion": "2", "labels": {"team": "a"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "mine": "b"},
        },
        "spec": {
            "version": "1.0",
            "trustPolicies": [{"name": "all", "registryScopes": ["*"], "trustStores": ["ca:roots"],
                               "trustedIdentities": ["*"], "signatureVerification": {"level": "strict"}}],
            "trustStores": [{"type": "ca", "name": "roots",
                             "certificates": [{"pem": Authority::new("root").issuer.pem()}]}],
            "revocation": {"crls": crls},
        },
        "status": {"observedGeneration": 1},
    });
    serde_json::from_value(policy).unwrap()
}

fn entry(name: &str, key: &str) -> Value {
    json!({"configMapKeyRef": {"name": name, "key": key}})
}

#[test]
fn what_is_printed_is_read_by_the_operators_own_reader() {
    let authority = Authority::new("Build CA (R2), Example");
    // Nearly as large as a ConfigMap takes it: some 21 bytes an entry.
    let large = authority.list("http://crl.test/large.crl", 46_000);
    assert!((900_000..CONFIG_MAP_MOST).contains(&large.list.der().len()), "{}", large.list.der().len());
    let lists = [authority.list("http://crl.test/a.crl", 1), large];
    let text = write::objects(&policy(&json!([])), &lists).unwrap();
    let policy = Policy::from_manifest(&Manifest::parse(&text).unwrap(), String::new()).unwrap();
    let brought: Vec<RevocationList> = lists.into_iter().map(|one| one.list).collect();
    assert_eq!(policy.brought.lists, brought);
    let again = Manifest::parse(&text).unwrap().policy;
    assert_eq!(again.metadata.namespace.as_deref(), Some("shop"));
    assert_eq!(again.metadata.labels.unwrap()["team"], "a");
    assert_eq!(again.metadata.annotations.unwrap().into_iter().collect::<Vec<_>>(), [("mine".into(), "b".into())]);
    assert_eq!((again.metadata.uid, again.metadata.resource_version), (None, None), "a file, not an object");
    assert!(!text.contains("observedGeneration"), "{text}");
}

#[test]
fn entries_of_an_earlier_run_are_replaced_and_those_of_others_stay() {
    let authority = Authority::new("Build CA (R2), Example");
    let names = |policy: &TrustPolicy, lists: &[Fetched]| -> Vec<String> {
        let text = write::objects(policy, lists).unwrap();
        let crls = Manifest::parse(&text).unwrap().policy.spec.revocation.unwrap().crls;
        crls.into_iter().filter_map(|source| source.config_map_key_ref).map(|reference| reference.name).collect()
    };
    let lists = [authority.list("http://crl.test/a.crl", 1), authority.list("http://crl.test/b.crl", 2)];
    let theirs = [entry("p-crl-mine", "mine.crl"), entry("p-crlists", "fetched.crl"), entry("lists", "fetched.crl")];
    let first = names(&policy(&json!(theirs)), &lists);
    assert_eq!(first[..3], ["p-crl-mine", "p-crlists", "lists"]);
    assert!(first[3].starts_with("p-crl-build-ca--r2---example-") && first[3] != first[4], "{first:?}");
    let mut known = theirs.to_vec();
    known.extend(first[3..].iter().map(|name| entry(name, "fetched.crl")));
    // One list has become newer, the other is no more.
    let newer = [authority.list("http://crl.test/a.crl", 3)];
    assert_eq!(names(&policy(&json!(known)), &newer), first[..4], "a list keeps its name as long as it keeps its URL");
}

#[test]
fn what_a_trust_policy_cannot_hold_is_refused_with_what_to_do() {
    let authority = Authority::new("root");
    let huge = authority.list("http://crl.test/huge.crl", 60_000);
    let error = write::objects(&policy(&json!([])), &[huge]).err().unwrap();
    assert!(error.contains("\"CN=root\" from http://crl.test/huge.crl takes 1"), "{error}");
    assert!(error.contains("a ConfigMap holds at most 1048576; use -o files"), "{error}");
    let theirs: Vec<Value> = (0..32).map(|number| entry(&format!("list-{number}"), "k")).collect();
    let error = write::objects(&policy(&json!(theirs)), &[authority.list("http://crl.test/a.crl", 1)]).err().unwrap();
    assert!(error.contains("33 revocation lists, and a TrustPolicy takes at most 32; divide"), "{error}");
}

async fn fetched(arguments: &[&str]) -> Failure {
    let arguments = ["sealwatch", "crl", "fetch"].iter().chain(arguments);
    let Command::Crl(CrlCommand::Fetch(arguments)) = Arguments::try_parse_from(arguments).unwrap().command else {
        panic!("crl fetch")
    };
    fetch(&arguments).await.unwrap_err()
}

#[tokio::test]
async fn what_cannot_be_used_is_said_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, contents: &str| {
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        path.display().to_string()
    };
    let full = folder.path().display().to_string();
    let good = file("good.yaml", &serde_json::to_string(&policy(&json!([entry("absent", "k")]))).unwrap());
    let mut nameless = serde_json::to_value(policy(&json!([]))).unwrap();
    nameless["metadata"] = json!({});
    let nameless = file("nameless.yaml", &nameless.to_string());
    let mut keyed = serde_json::to_value(policy(&json!([]))).unwrap();
    keyed["spec"]["trustStores"][0]["certificates"][0]["pem"] = KeyPair::generate().unwrap().serialize_pem().into();
    let keyed = file("keyed.yaml", &keyed.to_string());
    let document = json!({"version": "1.0", "trustPolicies": [
        {"name": "all", "registryScopes": ["*"], "trustStores": ["ca:roots"], "trustedIdentities": ["*"],
         "signatureVerification": {"level": "strict"}}]});
    let json = file("trustpolicy.json", &document.to_string());
    let new = folder.path().join("new").display().to_string();
    for (arguments, words) in [
        (vec!["--policy", &good, "--to", &new], "--to names the folder of -o files"),
        (vec!["--policy", &good, "-o", "files", "--to", &full], "is not empty"),
        (vec!["--policy", &good, "--image", "r.test/UPPER:1"], "IMAGE \"r.test/UPPER:1\""),
        (vec!["--policy", "/absent"], "--policy /absent: No such file"),
        (vec!["--policy", &nameless], "TrustPolicy has no metadata.name"),
        (vec!["--policy", &keyed], "trust store ca:roots: certificates[0].pem: is a private key"),
        (vec!["--policy", &json], "is a trustpolicy.json, and -o configmap fills a TrustPolicy; use -o files"),
        (vec!["--policy", &json, "-o", "files", "--to", &new], "a trustpolicy.json needs --trust-store DIR"),
    ] {
        let failure = fetched(&arguments).await;
        let Failure::Usage(why) = &failure else { panic!("{arguments:?}: {failure:?}") };
        assert!(why.contains(words), "{arguments:?}: {why}");
        assert!(!folder.path().join("new").exists(), "{arguments:?}");
    }
    // Lists that the policy brings already need not be at hand; but a root alone names none.
    let Failure::None(why) = fetched(&["--policy", &good]).await else { panic!("nothing to fetch") };
    assert!(why.contains("name images with --image"), "{why}");
}
