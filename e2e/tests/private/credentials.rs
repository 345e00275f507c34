// SPDX-License-Identifier: Apache-2.0

//! Who may look: pull secrets of pods and policies, the operator's own password, and none.

use base64ct::{Base64, Encoding};
use sealwatch_e2e::scene;
use sealwatch_e2e::stage;
use sealwatch_e2e::stage::Launch;
use sealwatch_e2e::testenv::{ACCOUNT, Door, IDENTITY_TOKEN, Registry, Result, Software};
use serde_json::json;

use crate::{Company, POLICY, WRONG, authority, auths, entry, locked, message, name_of, ours};

/// Pull secrets for these registries: `right`, `wrong`, `old` (right, as `.dockercfg`), `broken` (none), and `refresh`
/// (a refresh token).
async fn pull_secrets(company: &Company, registries: &[Registry]) -> Result<()> {
    let stage = &company.stage;
    stage.pull_secret("right", &auths(registries, &entry(ACCOUNT.1))).await?;
    stage.pull_secret("a-wrong", &auths(registries, &entry(WRONG))).await?;
    let refresh = json!({"auth": entry("")["auth"], "identitytoken": IDENTITY_TOKEN});
    stage.pull_secret("refresh", &auths(registries, &refresh)).await?;
    let plain = json!({"username": ACCOUNT.0, "password": ACCOUNT.1, "email": "joe@example.com"});
    stage.secret("old", "kubernetes.io/dockercfg", ".dockercfg", &auths(registries, &plain).to_string()).await?;
    stage.secret("a-broken", "Opaque", ".dockerconfigjson", "{\"auths\": [").await?;
    stage.pull_secret("a-foreign", &json!({"127.0.0.3:5000": entry(ACCOUNT.1)})).await
}

/// The passwords that were shown for an image, in their order, each once.
fn shown(registry: &Registry, image: &str) -> Vec<String> {
    let mut shown: Vec<String> = Vec::new();
    for request in ours(&registry.access_log(), image) {
        let basic = request.authorization.strip_prefix("Basic ").and_then(|text| Base64::decode_vec(text).ok());
        let text = basic.and_then(|bytes| String::from_utf8(bytes).ok());
        let password = text.and_then(|text| text.split_once(':').map(|(_, password)| password.to_owned()));
        shown.extend(password.filter(|password| !shown.contains(password)));
    }
    shown
}

/// What the message of a refusal ends with, by whether a wrong password was shown.
fn refusal(registry: &Registry, with_password: bool) -> String {
    match (with_password, registry.token_host(), registry.door()) {
        (false, ..) => {
            "a credential is needed, and no pull secret or registries.yaml entry that may be used fits".into()
        }
        (true, Some(server), _) => format!("unauthorized: token server {server} refused the credential"),
        // olareg's word for a wrong password.
        (true, None, Door::Bearer) => format!("forbidden: token server {} answered 403", registry.host()),
        (true, None, _) => "unauthorized: registry refused the credential".into(),
    }
}

#[tokio::test]
async fn without_a_password_that_fits_an_image_is_unknown_and_with_one_among_others_it_is_verified() -> Result<()> {
    let company = Company::found("credentials").await?;
    let stage = &company.stage;
    let registries = locked("Private CA of passwords").await?;
    pull_secrets(&company, &registries).await?;
    // Secrets of a pod are tried in the order of their names.
    let refused: [(&str, &[&str]); 4] =
        [("none", &[]), ("missing", &["there-is-none"]), ("wrong", &["a-wrong"]), ("foreign", &["a-foreign"])];
    let verified: [(&str, &[&str]); 4] = [
        ("second", &["a-wrong", "right"]),
        ("old", &["old"]),
        ("after-broken", &["a-broken", "there-is-none", "right"]),
        ("refresh", &["refresh"]),
    ];
    let mut expected = Vec::new();
    for registry in &registries {
        for (case, secrets) in refused.into_iter().chain(verified) {
            // Refresh tokens are for token servers, and olareg's knows none.
            if case == "refresh" && registry.token_host().is_none() {
                continue;
            }
            let name = format!("{}-{case}-x", name_of(registry));
            let is_refused = refused.iter().any(|(known, _)| *known == case);
            let image = registry.push_image(&format!("team/{name}"), "1", &name).await?;
            if !is_refused {
                company.sign(registry, &image).await?;
            }
            stage.run_pod_with(&name, &image, secrets).await?;
            expected.push((registry, case, name, if is_refused { "RegistryUnauthorized" } else { "SignatureValid" }));
        }
        registry.clear_access_log();
    }
    let all: Vec<&Registry> = registries.iter().collect();
    let _operator = stage.operator_with(scene::registries(&all), &all).await?;
    let seen = stage
        .until("all verdicts", |seen| expected.iter().all(|(_, _, name, reason)| seen.reason(name) == *reason))
        .await?;
    for (registry, case, name, reason) in &expected {
        if *reason == "SignatureValid" {
            continue;
        }
        let status = seen.status(name);
        assert_eq!(status.verdict.map(|verdict| verdict.to_string()).as_deref(), Some("Unknown"), "{name}");
        assert!(status.signature.is_none(), "{name}");
        assert_eq!(seen.image_condition(name, "Ready"), "False/RegistryUnauthorized", "{name}");
        let (text, refusal) = (message(&seen, name), refusal(registry, *case == "wrong"));
        assert!(text.starts_with(&format!("{}: could not ", registry.host())) && text.ends_with(&refusal), "{text}");
    }
    for registry in &registries {
        let of = |case: &str| shown(registry, &format!("{}-{case}-x", name_of(registry)));
        assert_eq!([of("none"), of("missing"), of("foreign")], [const { Vec::<String>::new() }; 3]);
        assert_eq!(
            [of("wrong"), of("second")],
            [vec![WRONG], vec![WRONG, ACCOUNT.1]]
                .map(|list| { list.into_iter().map(str::to_owned).collect::<Vec<_>>() })
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_policys_secrets_come_after_the_pods_and_the_operators_own_password_last() -> Result<()> {
    let company = Company::found("order").await?;
    let stage = &company.stage;
    let registries = locked("Private CA of the order").await?;
    pull_secrets(&company, &registries).await?;
    let all: Vec<&Registry> = registries.iter().collect();
    let mut names = Vec::new();
    for registry in &registries {
        for (case, secrets) in [("bare", &[][..]), ("own", &["a-wrong"])] {
            let name = format!("{}-{case}-x", name_of(registry));
            let image = company.signed(registry, &format!("team/{name}")).await?;
            stage.run_pod_with(&name, &image, secrets).await?;
            names.push(name);
        }
        registry.clear_access_log();
    }
    let check = |password: &str| {
        for registry in &registries {
            let of = |case: &str| shown(registry, &format!("{}-{case}-x", name_of(registry)));
            let expected = [vec![password.to_owned()], vec![WRONG.to_owned(), password.to_owned()]];
            assert_eq!([of("bare"), of("own")], expected, "{}", name_of(registry));
        }
    };
    let mut policy = scene::trust_policy(POLICY, &scene::seed_document());
    policy["spec"]["imagePullSecrets"] = json!([{"name": "there-is-none"}, {"name": "right"}]);
    stage.apply(&policy).await?;
    let operator = stage.operator_with(scene::registries(&all), &all).await?;
    let are_verified = |seen: &stage::Seen| names.iter().all(|name| seen.reason(name) == "SignatureValid");
    stage.until("verdicts by the policy's secret", are_verified).await?;
    check(ACCOUNT.1);
    drop(operator);

    stage.apply(&scene::trust_policy(POLICY, &scene::seed_document())).await?;
    stage.kubectl(&["delete", "iv", "--all"]).await?;
    registries.iter().for_each(Registry::clear_access_log);
    let mut contents = scene::registries(&all);
    for registry in &registries {
        contents["configs"][registry.host()]["auth"] = json!({"username": ACCOUNT.0, "password": ACCOUNT.1});
    }
    let _operator = stage.operator_with(contents, &all).await?;
    stage.until("verdicts by the operator's password", are_verified).await?;
    check(ACCOUNT.1);

    // It is not for a person to look through the operator's eyes.
    let registry = registries.first().ok_or("a registry")?;
    let image = company.signed(registry, "team/by-hand").await?;
    registry.clear_access_log();
    stage.apply(&stage::Stage::handwritten("by-hand", &image.reference, Some(&image.digest), POLICY)).await?;
    stage.until("the refusal", |seen| seen.reason("by-hand") == "RegistryUnauthorized").await?;
    assert_eq!(shown(registry, "by-hand"), Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_pull_secret_that_the_operator_may_not_read_is_said_and_nothing_is_asked_without_it() -> Result<()> {
    let company = Company::found("forbidden").await?;
    let stage = &company.stage;
    let authority = authority("Private CA of the forbidden")?;
    let registry = Registry::behind(Software::Distribution, Door::Bearer, &authority).await?;
    stage.pull_secret("right", &json!({registry.host(): entry(ACCOUNT.1)})).await?;
    let image = company.signed(&registry, "team/forbidden-x").await?;
    stage.run_pod_with("forbidden", &image, &["right"]).await?;
    registry.clear_access_log();
    stage.grant_all_but("blind", &["secrets"]).await?;
    let registries = [&registry];
    let launch = Launch {
        watched: Some(&stage.namespace),
        account: (&stage.namespace, "blind"),
        contents: scene::registries(&registries),
        registries: &registries,
        more: &[],
        log: None,
    };
    let _operator = stage.launch(&launch).await?;
    let seen = stage.until("the refusal", |seen| seen.reason("forbidden") == "CredentialsForbidden").await?;
    let text = message(&seen, "forbidden");
    assert!(text.starts_with("pull secret \"right\": the operator may not read it ("), "{text}");
    assert_eq!(seen.image_condition("forbidden", "Ready"), "False/CredentialsForbidden");
    assert_eq!(registry.access_log(), []);
    Ok(())
}

#[tokio::test]
async fn an_authority_that_nobody_configured_is_unknown_and_the_certificate_is_named() -> Result<()> {
    let company = Company::found("authority").await?;
    let stage = &company.stage;
    let (ours, theirs) = (authority("Private CA, configured")?, authority("Private CA, not configured")?);
    let mut registries = Vec::new();
    for software in Software::ALL {
        registries.push((Registry::behind(software, Door::Tls, &ours).await?, "SignatureValid"));
        registries.push((Registry::behind(software, Door::Basic, &theirs).await?, "RegistryUnavailable"));
    }
    // Without a certificate, and with that of another authority.
    let all: Vec<&Registry> = registries.iter().map(|(registry, _)| registry).collect();
    let mut contents = scene::registries(&all);
    let (right, wrong) = (all[0].authority_name(), [all[1].host(), all[3].host()]);
    contents["configs"][&wrong[0]] = json!({});
    contents["configs"][&wrong[1]]["tls"]["ca_file"] = json!(right);
    stage.pull_secret("right", &json!({(&wrong[0]): entry(ACCOUNT.1), (&wrong[1]): entry(ACCOUNT.1)})).await?;
    for registry in &all {
        let name = name_of(registry);
        let image = company.signed(registry, &format!("team/{name}-x")).await?;
        stage.run_pod_with(&name, &image, &["right"]).await?;
        registry.clear_access_log();
    }
    let _operator = stage.operator_with(contents, &all).await?;
    let seen = stage
        .until("four verdicts", |seen| {
            registries.iter().all(|(registry, reason)| seen.reason(&format!("{}-x", name_of(registry))) == *reason)
        })
        .await?;
    for (registry, reason) in &registries {
        if *reason == "RegistryUnavailable" {
            let text = message(&seen, &name_of(registry));
            let expected = "unavailable: connection failed: invalid peer certificate: UnknownIssuer";
            assert!(text.starts_with(&registry.host()) && text.ends_with(expected), "{text}");
            assert_eq!(registry.access_log(), [], "the password is not shown to a server that nobody vouches for");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_token_server_that_the_operators_file_does_not_name_is_not_asked_at_an_address_of_its_own() -> Result<()> {
    let company = Company::found("realm").await?;
    let stage = &company.stage;
    let registry =
        Registry::behind(Software::Distribution, Door::Bearer, &authority("Private CA of the realm")?).await?;
    let tokens = registry.token_host().ok_or("a token server of its own")?;
    stage.pull_secret("right", &json!({registry.host(): entry(ACCOUNT.1)})).await?;
    let image = company.signed(&registry, "team/realm-x").await?;
    stage.run_pod_with("realm", &image, &["right"]).await?;
    registry.clear_access_log();
    let mut contents = scene::registries(&[&registry]);
    let configs = contents["configs"].as_object_mut().ok_or("configs")?;
    configs.remove(&tokens);
    let operator = stage.operator_with(contents, &[&registry]).await?;
    let seen = stage.until("the refusal", |seen| seen.reason("realm-x") == "EgressRefused").await?;
    let text = message(&seen, "realm-x");
    let begin = format!("{}: could not fetch token: egress to {tokens} (127.0.0.2) refused: ", registry.host());
    assert!(text.starts_with(&begin) && text.contains("--allow-egress"), "{text}");
    let asked = registry.access_log();
    assert!(!asked.iter().any(|request| request.path.starts_with("/token")), "{asked:#?}");
    assert_eq!(shown(&registry, ""), Vec::<String>::new());
    drop(operator);
    let _operator = stage.operator_with(scene::registries(&[&registry]), &[&registry]).await?;
    stage.until("the verdict", |seen| seen.reason("realm-x") == "SignatureValid").await?;
    Ok(())
}
