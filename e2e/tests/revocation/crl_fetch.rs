// SPDX-License-Identifier: Apache-2.0

//! `sealwatch crl fetch`: lists from where the network is, used where it is not.

use std::fs;
use std::path::Path;

use rcgen::{KeyPair, PublicKeyData as _};
use sealwatch_e2e::cli::{Ran, run};
use sealwatch_e2e::scene;
use sealwatch_e2e::testenv::pki::{KeyKind, Root, SigningKey};
use sealwatch_e2e::testenv::{self, Authority, Format, Notation, Registry, Result, SignOptions, TimestampAuthority};
use sealwatch_fixtures::key::Kind;
use sealwatch_fixtures::pki::{CRL_SIGN, KEY_CERT_SIGN, Signer, Template, basic_constraints, key_usage, pem};
use sealwatch_fixtures::revocation::{List, crl_at, crl_number, delta_of, freshest_at, ocsp_at};
use serde_json::{Value, json};

use crate::{ALLOWED, DAY, IMAGE, LIST, Listed, POLICY, layout_of, message, policy, stage};

/// A folder with a policy, and what `crl fetch` and `verify` say under it.
struct Office {
    folder: tempfile::TempDir,
    policy: String,
}

impl Office {
    fn new(root: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("sealwatch-crl-").tempdir()?;
        let objects = [policy("strict", &json!({})), scene::roots(root)];
        let file = folder.path().join("policy.yaml");
        fs::write(&file, scene::documents(&objects)?)?;
        let policy = file.display().to_string();
        Ok(Self { folder, policy })
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Where the network is.
    async fn fetch(&self, more: &[&str]) -> Result<Ran> {
        let args = ["crl", "fetch", "--policy", &self.policy];
        run(args.into_iter().chain(more.iter().copied()).chain(ALLOWED)).await
    }

    /// Fetches into a new folder.
    async fn fetch_files(&self, name: &str, more: &[&str]) -> Result<Ran> {
        self.fetch(&[&["-o", "files", "--to", &self.path(name)][..], more].concat()).await
    }

    /// Where it is not.
    async fn verify(&self, image: &str, lists: &str) -> Result<Ran> {
        let lists = self.path(lists);
        let args = ["verify", "--insecure-registry", image, "--policy", &self.policy];
        run(args.into_iter().chain(["--crl", &lists])).await
    }
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Exactly one error, and nothing else anywhere.
#[track_caller]
fn assert_refused(ran: &Ran, code: i32, words: &str) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
    let errors = ran.stderr.lines().filter(|line| line.starts_with("sealwatch: error: ")).count();
    assert!(errors == 1 && ran.stderr.contains(words), "{words}: {ran:?}");
}

#[tokio::test]
async fn an_operator_that_reaches_no_authority_judges_by_the_lists_that_were_brought() -> Result<()> {
    let (stage, listed) = stage("fetched").await?;
    let _operator = stage.operator(&[&listed.registry], &[]).await?;
    stage.until("the verdict", |seen| seen.reason(IMAGE) == "RevocationUnknown").await?;
    let image = listed.image.by_digest();
    let file = stage.folder.path().join("policy.yaml");
    // The policy as it is in the cluster, with all that the cluster wrote into it.
    let objects = async || -> Result<()> {
        let policy = stage.kubectl(&["get", "tp", POLICY, "-o", "yaml"]).await?;
        let roots = serde_saphyr::to_string(&scene::roots(listed.root.certificate_pem()))?;
        Ok(fs::write(&file, format!("{policy}---\n{roots}"))?)
    };
    let policy = file.display().to_string();
    let bring = async || -> Result<Ran> {
        objects().await?;
        let args = ["crl", "fetch", "--policy", &policy, "--image", &image, "--insecure-registry"];
        let ran = run(args.into_iter().chain(ALLOWED)).await?;
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let printed = stage.folder.path().join("brought.yaml");
        fs::write(&printed, &ran.stdout)?;
        stage.kubectl(&["apply", "--server-side", "-f", &printed.display().to_string()]).await?;
        assert_eq!(listed.authority.asked(), [LIST], "asked once, and by nobody else");
        Ok(ran)
    };
    listed.all_good()?;
    let ran = bring().await?;
    assert!(ran.stderr.contains(&listed.authority.url(LIST)) && ran.stderr.contains(": good until 20"), "{ran:?}");
    let seen = stage.until("the verdict", |seen| seen.reason(IMAGE) == "SignatureValid").await?;
    assert_eq!(seen.image_condition(IMAGE, "Ready"), "True/Succeeded");
    // Once more, now that the signer is revoked: the list takes the place of the other.
    listed.revoke()?;
    let ran = bring().await?;
    assert!(
        ran.stderr.contains("by these lists alone, the certificate") && ran.stderr.contains("is revoked"),
        "{ran:?}"
    );
    let seen = stage.until("the revocation", |seen| seen.reason(IMAGE) == "Revoked").await?;
    assert!(message(&seen).contains("is revoked since"), "{}", message(&seen));
    let maps = stage.kubectl(&["get", "configmaps", "-o", "name"]).await?;
    assert_eq!(maps.lines().filter(|name| name.contains("-crl-")).count(), 1, "{maps}");
    assert_eq!(listed.authority.asked(), [""; 0], "the operator asks nobody");
    Ok(())
}

/// Point 2 of the alert: what was brought ends, too.
#[tokio::test]
async fn a_brought_list_that_ends_is_counted_down_by_the_metric_of_the_alert() -> Result<()> {
    let (stage, listed) = stage("countdown").await?;
    listed.authority.give(LIST, Some(listed.root.list(&[], 3 * DAY)?));
    let operator = stage.operator(&[&listed.registry], &[]).await?;
    let file = stage.folder.path().join("policy.yaml");
    let objects = [policy("strict", &json!({})), scene::roots(listed.root.certificate_pem())];
    fs::write(&file, scene::documents(&objects)?)?;
    let (policy, image) = (file.display().to_string(), listed.image.by_digest());
    let args = ["crl", "fetch", "--policy", &policy, "--image", &image, "--insecure-registry"];
    let ran = run(args.into_iter().chain(ALLOWED)).await?;
    fs::write(&file, &ran.stdout)?;
    stage.kubectl(&["apply", "--server-side", "-f", &policy]).await?;
    let seen = stage.until("the end", |seen| seen.policy(POLICY).next_expiry.is_some()).await?;
    let next = seen.policy(POLICY).next_expiry.ok_or("an end")?;
    assert_eq!(next.kind.map(|kind| kind.to_string()).as_deref(), Some("RevocationList"));
    let address = *operator.listening_on()?.first().ok_or("it listens")?;
    let metrics = reqwest::get(format!("http://{address}/metrics")).await?.text().await?;
    let line = metrics.lines().find(|line| line.contains("kind=\"RevocationList\"") && line.contains(&stage.namespace));
    assert!(line.is_some_and(|line| line.starts_with("sealwatch_")), "{metrics}");
    Ok(())
}

#[tokio::test]
async fn files_serve_the_command_line_whichever_way_the_list_says() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let listed = Listed::new(&notation).await?;
    let office = Office::new(listed.root.certificate_pem())?;
    let image = listed.image.by_digest();
    let flags = ["--image", &image, "--insecure-registry"];
    listed.all_good()?;
    let ran = office.fetch_files("good", &flags).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, format!("Wrote 1 revocation list to {}\n", office.path("good")));
    assert_eq!(names(Path::new(&office.path("good")))?.len(), 1);
    assert_eq!(office.verify(&image, "good").await?.code, Some(0));
    listed.revoke()?;
    assert_eq!(office.fetch_files("bad", &flags).await?.code, Some(0));
    let ran = office.verify(&image, "bad").await?;
    assert!(ran.code == Some(1) && ran.stdout.contains(": Revoked: "), "{ran:?}");
    // A trustpolicy.json will do, and an image in a layout.
    let layout = layout_of(&listed, office.folder.path()).await?;
    fs::write(office.path("trustpolicy.json"), scene::seed_document().to_string())?;
    fs::create_dir_all(office.path("x509/ca/supplychain"))?;
    fs::write(office.path("x509/ca/supplychain/root.crt"), listed.root.certificate_pem())?;
    listed.authority.asked();
    let (json, stores, to) = (office.path("trustpolicy.json"), office.path("x509"), office.path("carried"));
    let args = ["crl", "fetch", "--policy", &json, "--trust-store", &stores, "-o", "files", "--to", &to];
    let more = ["--oci-layout", &layout, "--image", "registry.example/app:v1"];
    let ran = run(args.into_iter().chain(more).chain(ALLOWED)).await?;
    assert_eq!((ran.code, listed.authority.asked().as_slice()), (Some(0), &[LIST.to_owned()][..]), "{ran:?}");
    assert_eq!(
        fs::read(Path::new(&to).join(&names(Path::new(&to))?[0]))?,
        fs::read({
            let bad = office.path("bad");
            Path::new(&bad).join(&names(Path::new(&bad))?[0])
        })?
    );
    Ok(())
}

#[tokio::test]
async fn a_list_that_is_no_good_is_named_and_nothing_is_written() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let listed = Listed::new(&notation).await?;
    let office = Office::new(listed.root.certificate_pem())?;
    let image = listed.image.by_digest();
    let flags = ["--image", &image, "--insecure-registry"];
    let other = Root::new(&scene::name("Microsoft Supply Chain RSA Root CA 2022 (test)"), KeyKind::EcP256)?;
    let url = listed.authority.url(LIST);
    for (answer, words) in [
        (None, "status 503"),
        (Some(b"<html>".to_vec()), "malformed revocation list"),
        (Some(other.list(&[], DAY)?), "signature of the revocation list"),
        (Some(Root::new(&scene::name("Other"), KeyKind::EcP256)?.list(&[], DAY)?), "is of another issuer"),
        (Some(vec![0; 40 * 1024 * 1024]), "larger than 33554432 bytes"),
    ] {
        listed.authority.give(LIST, answer);
        let ran = office.fetch_files("lists", &flags).await?;
        assert_refused(&ran, 3, words);
        assert!(ran.stderr.contains(&url), "{ran:?}");
        assert_refused(&office.fetch(&flags).await?, 3, words);
        assert_eq!(names(office.folder.path())?, ["policy.yaml"], "{words}");
    }
    // One that ended a moment ago.
    listed.authority.give(LIST, Some(List { next_update: Some("20260101000000Z"), ..List::new() }.issue()));
    assert_refused(&office.fetch(&flags).await?, 3, "could not be had");
    // What the guard does not allow is not asked.
    listed.all_good()?;
    listed.authority.asked();
    let ran = run(["crl", "fetch", "--policy", &office.policy].iter().chain(&flags)).await?;
    assert_refused(&ran, 3, "--allow-egress");
    assert_eq!(listed.authority.asked(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn strangers_choose_no_list_and_what_cannot_be_looked_at_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let mut listed = Listed::new(&notation).await?;
    listed.all_good()?;
    let stranger = Root::new(&scene::name("Stranger"), KeyKind::EcP256)?;
    let office = Office::new(stranger.certificate_pem())?;
    let image = listed.image.by_digest();
    let ran = office.fetch(&["--image", &image, "--insecure-registry"]).await?;
    assert_refused(&ran, 1, "names a revocation list that can be fetched");
    assert!(ran.stderr.contains("has no signature of a trusted signer"), "{ran:?}");
    assert_eq!(listed.authority.asked(), [""; 0], "RV-24");
    let ran = office.fetch(&[]).await?;
    assert_refused(&ran, 1, "name images with --image");
    let absent = format!("{}@sha256:{}", listed.image.repository, "a".repeat(64));
    let office = Office::new(listed.root.certificate_pem())?;
    let ran = office.fetch(&["--image", &image, "--image", &absent, "--insecure-registry"]).await?;
    assert_refused(&ran, 3, &format!("--image {absent}: "));
    assert_eq!(listed.authority.asked(), [""; 0], "nothing is fetched in vain");
    listed.registry.stop();
    assert_refused(&office.fetch(&["--image", &image, "--insecure-registry"]).await?, 3, "--image ");
    Ok(())
}

/// A list that is good for the time of whoever runs this.
fn list(list: List) -> List {
    List { this_update: "20250101000000Z", next_update: Some("20350101000000Z"), ..list }
}

/// A signer whose leaf and intermediate name lists at this authority, and an image that it signed.
async fn deep(
    registry: &Registry,
    notation: &Notation,
    leaf: &[Vec<u8>],
    middle: &[Vec<u8>],
) -> Result<(Signer, testenv::PushedImage)> {
    let key = KeyPair::generate()?;
    let template = Template { spki: Some(key.subject_public_key_info()), ..Template::leaf() };
    let leaf = leaf.iter().fold(template, |leaf, extension| leaf.with_extension(extension.clone()));
    let mut issuer = Template {
        serial: vec![0x09],
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..Template::intermediate()
    };
    issuer.extensions.extend_from_slice(middle);
    let signer = Signer::with_chain(&[&leaf.below_intermediate(), &issuer, &Template::root()]);
    let signing = SigningKey {
        name: "deep".to_owned(),
        key_pem: key.serialize_pem(),
        chain_pem: signer.chain.iter().map(|der| pem(der)).collect(),
        serial: 1,
    };
    let image = registry.push_image(&format!("azureiotoperations/{IMAGE}"), "deep", "deep").await?;
    let options = SignOptions { format: Format::Cose, ..SignOptions::default() };
    notation.sign(&image.by_digest(), &signing, &options).await?;
    Ok((signer, image))
}

#[tokio::test]
async fn every_list_of_a_chain_is_brought_with_the_delta_that_it_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let (registry, authority) = (Registry::olareg().await?, Authority::start()?);
    let [dead, middle_url, root_url, delta_url, ocsp_url] =
        ["/dead.crl", "/middle.crl", "/root.crl", "/delta.crl", "/ocsp"].map(|path| authority.url(path));
    // A list at two URLs, the first of which is dead, and one beside a responder and an address that is no http.
    let leaf = [crl_at(&[&[&dead, &middle_url]])];
    let middle = [ocsp_at(&[&ocsp_url]), crl_at(&[&["ldap://127.0.0.1/cn=root", &root_url]])];
    let (signer, image) = deep(&registry, &notation, &leaf, &middle).await?;
    let office = Office::new(&pem(signer.root()))?;
    let by_middle =
        |entries| List { issuer: Template::intermediate().subject, key: Kind::Next, entries, ..List::new() };
    let base = list(List::new().with_extension(freshest_at(&[&delta_url])));
    let delta = |list: List| List { extensions: vec![crl_number(&[6]), delta_of(&[5])], ..list };
    authority.give("/middle.crl", Some(list(by_middle(vec![])).issue()));
    authority.give("/root.crl", Some(base.issue()));
    let flags = ["--image", &image.by_digest(), "--insecure-registry"];
    // Without its delta the list of the root does not count.
    assert_refused(&office.fetch_files("none", &flags).await?, 3, "a delta of the revocation list of");
    authority.give("/delta.crl", Some(list(delta(List { extensions: vec![], ..List::new() })).issue()));
    authority.asked();
    let ran = office.fetch_files("lists", &flags).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("Wrote 3 revocation lists to "), "{ran:?}");
    assert!(ran.stderr.contains("note: delta of the revocation list of"), "{ran:?}");
    let mut asked = authority.asked();
    asked.sort();
    assert_eq!(asked, ["/dead.crl", "/delta.crl", "/middle.crl", "/root.crl"], "each once, and no responder");
    let ran = office.verify(&image.by_digest(), "lists").await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // A delta that revokes the intermediate counts where nobody can be asked.
    let entry = sealwatch_fixtures::revocation::entry(&[0x09], "260601000000Z", &[]);
    authority.give("/delta.crl", Some(list(delta(List { entries: vec![entry], ..List::new() })).issue()));
    assert_eq!(office.fetch_files("revoking", &flags).await?.code, Some(0));
    let ran = office.verify(&image.by_digest(), "revoking").await?;
    assert!(ran.code == Some(1) && ran.stdout.contains(": Revoked: "), "{ran:?}");
    // One that does not continue the list is none.
    authority.give("/delta.crl", Some(list(List::new()).issue()));
    assert_refused(&office.fetch_files("unfit", &flags).await?, 3, "the delta is none");
    Ok(())
}

#[tokio::test]
async fn the_intermediates_of_a_trust_store_name_lists_without_any_image() -> Result<()> {
    let authority = Authority::start()?;
    let issuer = Template {
        extensions: vec![basic_constraints(true, None), key_usage(KEY_CERT_SIGN | CRL_SIGN)],
        ..Template::intermediate()
    };
    let issuer = issuer.with_extension(crl_at(&[&[&authority.url("/root.crl")]]));
    let (middle, root) = (pem(&issuer.issue()), pem(&Template::root().issue()));
    authority.give("/root.crl", Some(list(List::new()).issue()));
    let office = Office::new(&format!("{middle}{root}"))?;
    let ran = office.fetch(&[]).await?;
    assert_eq!((ran.code, authority.asked().as_slice()), (Some(0), &["/root.crl".to_owned()][..]), "{ran:?}");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&ran.stdout)?;
    let kinds: Vec<&Value> = objects.iter().map(|object| &object["kind"]).collect();
    assert_eq!(kinds, ["ConfigMap", "TrustPolicy"]);
    // Who issued it must be known, or nobody could say that the list is genuine.
    let office = Office::new(&middle)?;
    let ran = office.fetch(&[]).await?;
    assert_refused(&ran, 1, "name images with --image");
    assert!(ran.stderr.contains("and who issued it is in no trust store"), "{ran:?}");
    assert_eq!(authority.asked(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn the_list_of_a_timestamp_authority_is_brought_too() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let notation = Notation::new(&folder.path().join("notation")).await?;
    let listed = Listed::new(&notation).await?;
    listed.all_good()?;
    let stamper = TimestampAuthority::listed(&listed.authority.url("/tsa.crl"))?;
    listed.authority.give("/tsa.crl", Some(TimestampAuthority::list(false)));
    let image = listed.registry.push_image("azureiotoperations/stamped", "1", "stamped").await?.by_digest();
    let timestamp = Some((stamper.url(), TimestampAuthority::root_pem()));
    notation.sign(&image, &listed.key, &SignOptions { timestamp, ..SignOptions::default() }).await?;
    let office = Office::new(listed.root.certificate_pem())?;
    let mut trusting = policy("strict", &json!({}));
    trusting["spec"]["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "tsa:microsoft"]);
    let store = json!({"type": "tsa", "name": "microsoft", "certificates": [{"pem": TimestampAuthority::root_pem()}]});
    trusting["spec"]["trustStores"].as_array_mut().ok_or("a list")?.push(store);
    let texts = [trusting, scene::roots(listed.root.certificate_pem())].map(|object| object.to_string());
    fs::write(&office.policy, texts.join("\n---\n"))?;
    listed.authority.asked();
    let ran = office.fetch_files("lists", &["--image", &image, "--insecure-registry"]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let mut asked = listed.authority.asked();
    asked.sort();
    assert_eq!(asked, [LIST, "/tsa.crl"]);
    let ran = office.verify(&image, "lists").await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    Ok(())
}
