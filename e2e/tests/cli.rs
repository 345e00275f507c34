// SPDX-License-Identifier: Apache-2.0

//! `sealwatch verify` and `sealwatch crds` by hand, against real registries and signatures of the real `notation`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use sealwatch_e2e::cli::{self, Desk, Ran, run, vectors};
use sealwatch_e2e::scene::{self, Signed};
use sealwatch_e2e::testenv::pki::{KeyKind, Validity};
use sealwatch_e2e::testenv::{Format, PushedImage, Registry, Result, SignOptions};
use serde_json::{Value, json};

const ABSENT: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The exit code that belongs to a reason of [`Signed::expected`].
fn code(signed: Signed) -> i32 {
    i32::from(signed.expected() != "SignatureValid")
}

fn with_level(level: &str) -> Value {
    let mut document = scene::seed_document();
    document["trustPolicies"][0]["signatureVerification"]["level"] = level.into();
    document
}

/// Nothing was printed as an answer, and the complaint names this.
fn assert_usage(ran: &Ran, named: &[&str]) {
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    for name in named {
        assert!(ran.stderr.contains(name), "{name}: {ran:?}");
    }
}

/// Both forms of the policy and both kinds of registry: the same answers, which are those of `notation`.
async fn every_image_is_answered_as_notation_answers(registry: Registry, referrers_api: bool) -> Result<()> {
    let desk = Desk::set(&registry, referrers_api, &Signed::ALL).await?;
    let json = desk.notation_policy(&scene::seed_document())?;
    let yaml = desk.trust_policy(&scene::seed_document())?;
    for (signed, image) in desk.images.iter() {
        let name = image.by_digest();
        let ran = desk.verify_under(&json, &[&name]).await?;
        assert_eq!(ran.code, Some(code(signed)), "{signed:?}: {ran:?}");
        let expected = match signed.expected() {
            "SignatureValid" => format!("Successfully verified signature for {name}\n"),
            reason => format!("Failed: {name}: {reason}: "),
        };
        assert!(ran.stdout.starts_with(&expected), "{signed:?}: {ran:?}");
        assert_eq!(ran.stdout.lines().count(), 1, "{signed:?}: {ran:?}");
        assert_eq!(ran.stderr, "", "{signed:?}");

        assert_eq!(desk.verify_under(&yaml, &[&name]).await?, ran, "{signed:?}");
        let second_opinion = desk.notation.verify(&name).await?;
        let says = String::from_utf8_lossy(&second_opinion.stderr);
        assert_eq!(second_opinion.status.success(), ran.code == Some(0), "{signed:?}: notation says {says}");
        if ran.code == Some(0) {
            assert_eq!(String::from_utf8_lossy(&second_opinion.stdout), ran.stdout, "the very same line");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_image_is_answered_as_notation_answers_with_the_referrers_api() -> Result<()> {
    every_image_is_answered_as_notation_answers(Registry::olareg().await?, true).await
}

#[tokio::test]
async fn every_image_is_answered_as_notation_answers_with_the_tag_schema() -> Result<()> {
    every_image_is_answered_as_notation_answers(Registry::distribution().await?, false).await
}

#[tokio::test]
async fn a_tag_is_answered_by_its_digest_and_warned_of() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?;
    let ran = desk.verify(&[&image.reference]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, format!("Successfully verified signature for {}\n", image.by_digest()));
    assert!(ran.stderr.contains("the tag \"1.2.36\" may name another image tomorrow"), "{ran:?}");
    let absent = desk.verify(&[&format!("{}:absent", image.repository)]).await?;
    assert_eq!(absent.code, Some(3), "{absent:?}");
    assert!(absent.stdout.starts_with(&format!("Unknown: {}:absent: ImageNotFound: ", image.repository)), "{absent:?}");
    Ok(())
}

#[tokio::test]
async fn of_several_images_the_worst_decides_and_the_order_is_kept() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose, Signed::Jws, Signed::Not]).await?;
    let [good, other, unsigned] =
        [desk.images.of(Signed::Cose)?, desk.images.of(Signed::Jws)?, desk.images.of(Signed::Not)?]
            .map(PushedImage::by_digest);
    let absent = format!("{}@{ABSENT}", desk.images.of(Signed::Cose)?.repository);
    let verdicts = |ran: &Ran| -> Vec<String> {
        ran.stdout.lines().map(|line| line.split([':', ' ']).next().unwrap_or_default().to_owned()).collect()
    };
    let cases: [(&[&str], i32, &[&str]); 4] = [
        (&[&good, &other], 0, &["Successfully", "Successfully"]),
        (&[&absent, &good], 3, &["Unknown", "Successfully"]),
        (&[&good, &unsigned, &absent, &other], 1, &["Successfully", "Failed", "Unknown", "Successfully"]),
        (&[&unsigned, &good], 1, &["Failed", "Successfully"]),
    ];
    for (images, code, expected) in cases {
        let ran = desk.verify(images).await?;
        assert_eq!((ran.code, verdicts(&ran)), (Some(code), expected.iter().map(ToString::to_string).collect()));
    }
    Ok(())
}

#[tokio::test]
async fn json_and_yaml_carry_the_same_facts() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose, Signed::ByStranger]).await?;
    let (good, bad) = (desk.images.of(Signed::Cose)?, desk.images.of(Signed::ByStranger)?);
    let ran = desk.verify(&[&good.by_digest(), &bad.reference, "-o", "json"]).await?;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let answers: Value = serde_json::from_str(&ran.stdout)?;
    let yaml = desk.verify(&[&good.by_digest(), &bad.reference, "-o", "yaml"]).await?;
    assert_eq!(serde_saphyr::from_str::<Value>(&yaml.stdout)?, answers);

    let first = &answers[0];
    let of = |name: &str| first.get(name).and_then(Value::as_str).unwrap_or_default();
    assert_eq!([of("image"), of("repository"), of("digest")], [&good.by_digest(), &good.repository, &good.digest]);
    assert_eq!([of("verdict"), of("reason")], ["Verified", "SignatureValid"]);
    assert_eq!([of("statement"), of("level")], ["supplychain", "strict"]);
    assert_eq!(first["signature"]["signer"]["subject"], scene::OPERATIONS);
    assert_eq!(first["signature"]["anchor"]["store"], "ca:supplychain");
    assert_eq!(first["signature"]["mediaType"], "application/cose");
    let checks: Vec<_> = first["checks"].as_array().into_iter().flatten().map(|check| check["type"].clone()).collect();
    assert_eq!(checks, ["integrity", "authenticity", "authenticTimestamp", "expiry", "revocation"]);
    assert!(first["checks"].as_array().into_iter().flatten().all(|check| check["result"] == "Passed"), "{first}");

    // A name that is not trusted is a claim.
    let second = &answers[1];
    assert_eq!((&second["image"], &second["digest"]), (&json!(bad.reference), &json!(bad.digest)));
    assert_eq!(second["reason"], "UntrustedIdentity");
    assert_eq!(second["signature"]["signer"], Value::Null);
    assert!(second["signature"]["claimedSigner"].as_str().is_some_and(|name| name.contains("Contoso")), "{second}");
    Ok(())
}

#[tokio::test]
async fn a_table_has_a_row_for_each_image() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose, Signed::Not]).await?;
    let [good, bad] = [desk.images.of(Signed::Cose)?, desk.images.of(Signed::Not)?].map(PushedImage::by_digest);
    let ran = desk.verify(&[&good, &bad, "-o", "table"]).await?;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let rows: Vec<Vec<&str>> = ran.stdout.lines().map(|line| line.split("  ").map(str::trim).collect()).collect();
    let cells: Vec<Vec<&str>> =
        rows.into_iter().map(|row| row.into_iter().filter(|cell| !cell.is_empty()).take(4).collect()).collect();
    assert_eq!(cells[0], ["IMAGE", "VERDICT", "REASON", "SIGNER"]);
    assert_eq!(cells[1], [good.as_str(), "Verified", "SignatureValid", "Azure IoT Operations"]);
    assert_eq!(cells[2], [bad.as_str(), "Failed", "NoSignature", "-"]);
    Ok(())
}

#[tokio::test]
async fn a_certificate_cannot_write_to_the_terminal() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[]).await?;
    let image = registry.push_image("hostile", "1", "hostile").await?;
    let common_name = "\u{1b}[2J\nSuccessfully verified signature for x\u{202e}";
    let name = [("C", "US"), ("ST", "WA"), ("O", "Hostile\r"), ("CN", common_name)];
    let key = desk.pki.root.issue(&name, KeyKind::EcP256, Validity::default())?;
    desk.notation.sign(&image.by_digest(), &key, &SignOptions::format(Format::Cose)).await?;
    let mut any = scene::seed_document();
    any["trustPolicies"][0]["trustedIdentities"] = json!(["*"]);
    for (document, code) in [(scene::seed_document(), 1), (any, 0)] {
        let policy = desk.notation_policy(&document)?;
        for format in ["text", "table", "json", "yaml"] {
            let ran = desk.verify_under(&policy, &[&image.by_digest(), "-o", format]).await?;
            assert_eq!(ran.code, Some(code), "{format}: {ran:?}");
            let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!ran.stdout.contains(steers) && !ran.stderr.contains(steers), "{format}: {ran:?}");
            let boast = ran.stdout.lines().filter(|line| line.starts_with("Successfully")).count();
            assert_eq!(boast, usize::from(code == 0 && format == "text"), "{format}: {ran:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_command_line_is_named() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[]).await?;
    let image = format!("{}/app:1", registry.host());
    let policy = desk.notation_policy(&scene::seed_document())?;
    let with = |more: &[&str]| -> Vec<String> {
        ["verify"]
            .into_iter()
            .map(str::to_owned)
            .chain(policy.clone())
            .chain(more.iter().map(ToString::to_string))
            .collect()
    };
    assert_usage(&run(["verify", &image]).await?, &["--policy"]);
    assert_usage(&run(with(&[])).await?, &["<IMAGE>"]);
    assert_usage(&run(with(&[&image, "-o", "xml"])).await?, &["xml", "--output"]);
    assert_usage(&run(with(&[&image, "--allow-egress", "10.0.0.0/99"])).await?, &["--allow-egress", "beyond 32"]);
    assert_usage(&run(with(&[&image, "--certificate"])).await?, &["--certificate"]);
    assert_usage(
        &run(with(&[&image, "--insecure-registry", "--oci-layout", "x"])).await?,
        &["--oci-layout", "--insecure-registry"],
    );
    assert_usage(&run(with(&[&image, "--oci-layout", "/nonexistent"])).await?, &["--oci-layout", "/nonexistent"]);
    let folder = desk.folder().display().to_string();
    assert_usage(&run(with(&[&image, "--oci-layout", &folder])).await?, &["--oci-layout", "not an OCI image layout"]);
    // A setting of the environment is no flag that could stand in the way of another.
    let output =
        cli::command(with(&[&image, "--oci-layout", &folder]))?.env("SEALWATCH_REGISTRIES", "x").output().await?;
    assert!(String::from_utf8(output.stderr)?.contains("not an OCI image layout"));
    assert_usage(&run(with(&[&image, "--registries", "/nonexistent"])).await?, &["--registries /nonexistent"]);
    let registries = desk.write("registries.yaml", "mirrors: [1]")?;
    assert_usage(&run(with(&[&image, "--registries", &registries])).await?, &["--registries", "line 1"]);
    // One image that is none, and nothing is asked about the others.
    for bad in ["", "Upper/Case:1", "r.test/a:1:2", "r.test/a@sha256:12", "https://r.test/a", ABSENT] {
        assert_usage(&run(with(&[&image, bad])).await?, &[&format!("IMAGE {bad:?}: ")]);
    }
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_the_policy_is_named() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[]).await?;
    let image = format!("{}/app:1", registry.host());
    let broken = |field: &str, value: Value| {
        let mut document = scene::seed_document();
        document["trustPolicies"][0][field] = value;
        document
    };
    let cases = [
        (broken("name", json!("")), "missing a name"),
        (broken("registryScopes", json!(["*", "r.test/a"])), "uses wildcard registry scope '*'"),
        (broken("trustStores", json!(["ca"])), "malformed trust store value \"ca\""),
        (broken("trustedIdentities", json!(["x509.subject: CN=a"])), "mandatory"),
        (with_level("strickt"), "invalid signature verification level \"strickt\""),
        (json!({"version": "2.0", "trustPolicies": []}), "unsupported version \"2.0\""),
    ];
    for (document, named) in cases {
        for policy in [desk.notation_policy(&document)?, desk.trust_policy(&document)?] {
            assert_usage(&desk.verify_under(&policy, &[&image]).await?, &[&policy[1], named]);
        }
    }
    let misspelt = broken("trustStore", json!([]));
    for policy in [desk.notation_policy(&misspelt)?, desk.trust_policy(&misspelt)?] {
        assert_usage(&desk.verify_under(&policy, &[&image]).await?, &["unknown field", "trustStore"]);
    }
    let text = desk.write("notes.txt", "not a policy")?;
    assert_usage(&run(["verify", &image, "--policy", &text]).await?, &[&text, "neither a trustpolicy.json"]);
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_trust_store_is_named() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?.by_digest();
    let policy = desk.notation_policy(&scene::seed_document())?;
    assert_eq!(desk.verify_under(&policy, &[&image]).await?.code, Some(0));
    assert_usage(&desk.verify_under(&policy[..2], &[&image]).await?, &["ca:supplychain", "--trust-store"]);
    registry.clear_access_log();

    let store = desk.folder().join("truststore/ca/supplychain");
    let root = store.join("root.crt");
    let more = store.join("more");
    let spoil: [(&dyn Fn() -> std::io::Result<()>, &str); 3] = [
        (&|| fs::write(&more, "no certificate"), "more: "),
        (&|| symlink(&root, &more), "is a link"),
        (&|| fs::create_dir(&more), "is a folder"),
    ];
    for (spoil, named) in spoil {
        spoil()?;
        assert_usage(&desk.verify_under(&policy, &[&image]).await?, &["--trust-store", "ca:supplychain", named]);
        let second_opinion = desk.notation.run(&["verify", &image]).await?;
        assert!(!second_opinion.status.success());
        if more.is_dir() { fs::remove_dir(&more)? } else { fs::remove_file(&more)? }
    }
    fs::remove_dir_all(&store)?;
    assert_usage(&desk.verify_under(&policy, &[&image]).await?, &["--trust-store", "ca:supplychain", "No such file"]);

    let mut without_map = desk.trust_policy(&scene::seed_document())?;
    without_map[1] = desk.write("alone.yaml", &scene::trust_policy("alone", &scene::seed_document()).to_string())?;
    let named = [without_map[1].as_str(), "ca:supplychain", scene::ROOTS.0];
    assert_usage(&desk.verify_under(&without_map, &[&image]).await?, &named);
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn a_store_that_only_this_signature_needs_leaves_it_open() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?.by_digest();
    desk.write("truststore/signingAuthority/other/root.crt", desk.pki.root.certificate_pem())?;
    let mut document = scene::seed_document();
    // The scheme of the signature is notary.x509, for which stores of type ca count.
    document["trustPolicies"][0]["trustStores"] = json!(["ca:absent", "signingAuthority:other"]);
    let ran = desk.verify_under(&desk.notation_policy(&document)?, &[&image]).await?;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("Unknown: {image}: TrustStoreUnavailable: ")), "{ran:?}");
    assert!(ran.stdout.contains("ca:absent"), "{ran:?}");
    // Nothing is missing that would count.
    document["trustPolicies"][0]["trustStores"] = json!(["ca:supplychain", "signingAuthority:absent"]);
    assert_eq!(desk.verify_under(&desk.notation_policy(&document)?, &[&image]).await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_down_leaves_it_open() -> Result<()> {
    let mut registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?.by_digest();
    registry.stop();
    let ran = desk.verify(&[&image]).await?;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stdout.starts_with(&format!("Unknown: {image}: RegistryUnavailable: {}: ", registry.host())),
        "{ran:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_digest_that_the_registry_does_not_have_is_not_unsigned() -> Result<()> {
    for registry in [Registry::olareg().await?, Registry::distribution().await?] {
        let desk = Desk::set(&registry, true, &[Signed::Not]).await?;
        let image = format!("{}@{ABSENT}", desk.images.of(Signed::Not)?.repository);
        let ran = desk.verify(&[&image]).await?;
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stdout.starts_with(&format!("Unknown: {image}: ImageNotFound: ")), "{ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_needs_no_evidence_asks_nothing() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Not]).await?;
    let image = &desk.images.of(Signed::Not)?.reference;
    let skip = json!({"version": "1.0", "trustPolicies": [
        {"name": "skip", "registryScopes": ["*"], "signatureVerification": {"level": "skip"}},
    ]});
    let ran = desk.verify_under(&desk.notation_policy(&skip)?, &[image]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout, format!("Trust policy is configured to skip signature verification for {image}\n"));

    let mut elsewhere = scene::seed_document();
    elsewhere["trustPolicies"][0]["registryScopes"] = json!(["r.test/other"]);
    let ran = desk.verify_under(&desk.notation_policy(&elsewhere)?, &[image]).await?;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("Failed: {image}: NoApplicableTrustPolicy: ")), "{ran:?}");
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn a_failure_that_is_only_logged_passes_with_a_warning() -> Result<()> {
    let registry = Registry::olareg().await?;
    let which = [Signed::ByStranger, Signed::ByOtherRoot, Signed::Expired, Signed::Tampered];
    let desk = Desk::set(&registry, true, &which).await?;
    let cases = [
        ("permissive", Signed::Expired, Some("expiry")),
        ("permissive", Signed::ByStranger, None),
        ("audit", Signed::ByStranger, Some("authenticity")),
        ("audit", Signed::ByOtherRoot, Some("authenticity")),
        ("audit", Signed::Expired, Some("expiry")),
        ("audit", Signed::Tampered, None),
    ];
    for (level, signed, logged) in cases {
        let image = desk.images.of(signed)?.by_digest();
        let policy = desk.notation_policy(&with_level(level))?;
        let ran = desk.verify_under(&policy, &[&image]).await?;
        assert_eq!(ran.code, Some(i32::from(logged.is_none())), "{level} {signed:?}: {ran:?}");
        if let Some(check) = logged {
            assert_eq!(ran.stdout, format!("Successfully verified signature for {image}\n"));
            let warning = format!("sealwatch: warning: {image}: {check} was set to \"log\" and did not pass: ");
            assert!(ran.stderr.starts_with(&warning), "{level} {signed:?}: {ran:?}");
        }
        let second_opinion = desk.notation.verify(&image).await?;
        assert_eq!(second_opinion.status.success(), ran.code == Some(0), "{level} {signed:?}: {second_opinion:?}");
        // Programs see that it is not plain green.
        let ran = desk.verify_under(&policy, &[&image, "-o", "json"]).await?;
        let reason = serde_json::from_str::<Value>(&ran.stdout)?[0]["reason"].clone();
        assert_eq!(reason == "FailuresLogged", logged.is_some(), "{level} {signed:?}: {reason}");
    }
    Ok(())
}

#[tokio::test]
async fn plain_http_has_to_be_allowed() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Cose]).await?;
    let image = desk.images.of(Signed::Cose)?.by_digest();
    let policy = desk.notation_policy(&scene::seed_document())?;
    let verify = |more: &[&str]| -> Vec<String> {
        let args = ["verify", &image].into_iter().chain(more.iter().copied()).map(str::to_owned);
        args.chain(policy.clone()).collect()
    };
    let ran = run(verify(&[])).await?;
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stdout.starts_with(&format!("Unknown: {image}: RegistryUnavailable: ")), "{ran:?}");
    assert!(ran.stdout.ends_with("a registry without TLS needs --insecure-registry\n"), "{ran:?}");
    assert_eq!(run(verify(&["--insecure-registry"])).await?.code, Some(0));
    let registries =
        scene::write_registries(desk.folder(), &scene::registries(&[&registry]), &[&registry])?.display().to_string();
    assert_eq!(run(verify(&["--registries", &registries])).await?.code, Some(0));
    Ok(())
}

#[tokio::test]
async fn a_reader_that_goes_away_changes_nothing() -> Result<()> {
    let registry = Registry::olareg().await?;
    let desk = Desk::set(&registry, true, &[Signed::Not]).await?;
    let policy = desk.notation_policy(&scene::seed_document())?;
    let image = desk.images.of(Signed::Not)?.by_digest();
    let verify = ["verify", "--insecure-registry", &image].into_iter().chain(policy.iter().map(String::as_str));
    for (args, code) in [(verify.collect::<Vec<_>>(), 1), (vec!["crds"], 0), (vec!["--help"], 0)] {
        let mut child = cli::command(&args)?.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        drop(child.stdout.take());
        let output = tokio::time::timeout(Duration::from_secs(30), child.wait_with_output()).await??;
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(code), &b""[..]), "{args:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_oci_layout_takes_the_place_of_the_registry() -> Result<()> {
    let Some(vectors) = vectors("an_oci_layout_takes_the_place_of_the_registry") else { return Ok(()) };
    let vectors = vectors.join("notation/test/e2e/testdata");
    let folder = tempfile::tempdir()?;
    let store = folder.path().join("ca/e2e");
    fs::create_dir_all(&store)?;
    fs::copy(vectors.join("config/localkeys/e2e.crt"), store.join("e2e.crt"))?;
    let verify = async |layout: &str, policy: &str, image: &str| {
        let layout = vectors.join("registry/oci_layout").join(layout);
        let policy = vectors.join("config/trustpolicies").join(policy);
        let args = [Path::new("verify"), Path::new(image), Path::new("--oci-layout"), &layout];
        run(args.into_iter().chain([Path::new("--policy"), &policy, Path::new("--trust-store"), folder.path()])).await
    };
    let digest = "sha256:b8479de3f88fb259a0a9ea82a5b2a052a1ef3c4ebbcfc61482d5ae4c831f8af9";
    let cases = [
        ("e2e-valid-signature", 0, "SignatureValid"),
        ("e2e-valid-multiple-signatures", 0, "SignatureValid"),
        ("e2e", 1, "NoSignature"),
        ("e2e-expired-signature", 1, "SignatureExpired"),
        ("e2e-invalid-signature", 1, "IntegrityFailed"),
    ];
    for (layout, code, reason) in cases {
        for image in ["local.test/app:v1".to_owned(), format!("local.test/app@{digest}")] {
            let ran = verify(layout, "trustpolicy.json", &image).await?;
            assert_eq!(ran.code, Some(code), "{layout} {image}: {ran:?}");
            let expected = match reason {
                "SignatureValid" => format!("Successfully verified signature for local.test/app@{digest}\n"),
                reason => format!("Failed: local.test/app@{digest}: {reason}: "),
            };
            assert!(ran.stdout.starts_with(&expected), "{layout} {image}: {ran:?}");
        }
    }
    // The tag and the digest are those of the layout; the repository only chooses the statement.
    for image in ["local.test/app:v2", &format!("local.test/app@{ABSENT}")] {
        let ran = verify("e2e-valid-signature", "trustpolicy.json", image).await?;
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stdout.starts_with(&format!("Unknown: {image}: ImageNotFound: ")), "{ran:?}");
    }
    let scoped = "registry_scope_trustpolicy.json";
    assert_eq!(verify("e2e-valid-signature", scoped, "localhost:5000/test-repo:v1").await?.code, Some(0));
    let ran = verify("e2e-valid-signature", scoped, "local.test/app:v1").await?;
    assert!(ran.stdout.contains("NoApplicableTrustPolicy") && ran.code == Some(1), "{ran:?}");
    Ok(())
}

/// Files of Notation's own tests, and what the complaint about each says.
const REFUSED_POLICIES: [(&str, &str); 19] = [
    ("empty_registry_scope", "has zero registry scopes"),
    ("empty_trusted_identity", "has an empty trusted identity"),
    ("invalid_format", "malformed trust policy"),
    ("invalid_trust_store", "trust store ca:invalid_store: "),
    ("malformed_registry_scope", "is not valid"),
    ("malformed_trust_store", "unsupported trust store name \"\""),
    ("malformed_trusted_identity", "missing separator"),
    ("missing_country_trusted_identity", "\"C\""),
    ("missing_organization_trusted_identity", "\"O\""),
    ("missing_state_trusted_identity", "\"ST\""),
    ("multi_statements_with_multi_wildcard_registry_scope", "scope \"*\" is present in multiple"),
    ("multi_statements_with_the_same_name", "use the same name \"e2e\""),
    ("multi_statements_with_the_same_registry_scope", "is present in multiple"),
    ("overlapped_registry_scope", "is present in multiple"),
    ("overlapped_trusted_identity", "has overlapping x509 trustedIdentities"),
    ("override_integrity_for_permissive", "\"integrity\" verification can not be overridden"),
    ("unset_trust_store", "is either missing trust stores or trusted identities"),
    ("wildcard_plus_other_registry_scope", "uses wildcard registry scope '*'"),
    ("wildcard_trust_store", "has malformed trust store value \"*\""),
];

#[tokio::test]
async fn the_policies_that_notation_refuses_are_refused_for_the_same_reason() -> Result<()> {
    let test = "the_policies_that_notation_refuses_are_refused_for_the_same_reason";
    let Some(vectors) = vectors(test) else { return Ok(()) };
    let vectors = vectors.join("notation/test/e2e/testdata/config");
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("ca/e2e"))?;
    fs::copy(vectors.join("localkeys/e2e.crt"), folder.path().join("ca/e2e/e2e.crt"))?;
    for (file, named) in REFUSED_POLICIES {
        let policy = vectors.join(format!("trustpolicies/{file}_trustpolicy.json"));
        let args = [Path::new("verify"), Path::new("r.test/a:1"), Path::new("--policy"), &policy];
        let ran = run(args.into_iter().chain([Path::new("--trust-store"), folder.path()])).await?;
        assert_usage(&ran, &[named]);
    }
    Ok(())
}

#[tokio::test]
async fn the_definitions_are_those_that_are_committed() -> Result<()> {
    let ran = run(["crds"]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let printed: BTreeSet<String> = ran.stdout.split("---\n").skip(1).map(str::to_owned).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/crd");
    let mut committed = BTreeSet::new();
    for file in ["trustpolicies.sealwatch.dev.yaml", "imageverifications.sealwatch.dev.yaml"] {
        let text = fs::read_to_string(folder.join(file))?;
        committed.insert(text.lines().filter(|line| !line.starts_with("# ")).flat_map(|line| [line, "\n"]).collect());
    }
    assert_eq!(printed, committed);
    Ok(())
}
