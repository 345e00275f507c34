// SPDX-License-Identifier: Apache-2.0

use sealwatch_registry::{Error, RegistriesConfig, Registry, Repository, Target};

use crate::fixture::{NOTATION, Signed, anonymous, configured, list, login};
use crate::scripted::{Script, Seen, Server};

/// `registry.test` with these mirrors, in order.
fn mirrored(mirrors: &[&Server], is_origin_disabled: bool) -> RegistriesConfig {
    let endpoints: Vec<String> = mirrors.iter().map(|mirror| format!("'http://{}'", mirror.host())).collect();
    let yaml = format!("mirrors: {{registry.test: {{endpoint: [{}]}}}}", endpoints.join(", "));
    let mut registries = RegistriesConfig::parse(yaml.as_bytes()).unwrap();
    if is_origin_disabled {
        registries.disable_origins();
    }
    registries
}

fn repository() -> Repository {
    "registry.test/app".parse().unwrap()
}

async fn good() -> Server {
    let signed = Signed::new();
    Server::start("127.0.0.1", move |seen: &Seen| signed.answer(seen)).await
}

/// Has the image and no signature.
async fn unsigned() -> Server {
    let signed = Signed::new();
    Server::start(
        "127.0.0.1",
        move |seen: &Seen| {
            if seen.path() == signed.referrers_path() { list(&[]) } else { signed.answer(seen) }
        },
    )
    .await
}

#[tokio::test]
async fn the_next_mirror_is_asked_when_one_fails() {
    let broken = Server::start("127.0.0.1", |_: &Seen| Script::status(500)).await;
    let good = good().await;
    let client = configured(mirrored(&[&broken, &good], true));
    let target = Target::Digest(Signed::new().subject());
    client.resolve(&repository(), &target, &anonymous()).await.unwrap();
    assert_eq!((broken.seen().len(), good.seen().len()), (1, 1));
    assert!(good.lines()[0].ends_with("?ns=registry.test"), "{:?}", good.lines());
}

#[tokio::test]
async fn signatures_are_taken_from_the_mirror_that_has_them() {
    let (unsigned, good) = (unsigned().await, good().await);
    let client = configured(mirrored(&[&unsigned, &good], true));
    let found = client.referrers(&repository(), &Signed::new().subject(), NOTATION, &anonymous()).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn a_mirror_without_signatures_and_an_origin_out_of_reach_is_not_no_signatures() {
    let unsigned = unsigned().await;
    // The last endpoint stands for the origin, so that no name has to be resolved.
    let origin = Server::start("127.0.0.1", |_: &Seen| Script::status(503)).await;
    let client = configured(mirrored(&[&unsigned, &origin], true));
    let subject = Signed::new().subject();
    let error = client.referrers(&repository(), &subject, NOTATION, &anonymous()).await.unwrap_err();
    assert!(matches!(&error, Error::SignaturesNotMirrored { mirror, .. } if *mirror == unsigned.host()), "{error}");
    for remedy in ["oras cp -r", "signatures", "--registries"] {
        assert!(error.to_string().contains(remedy), "{error}");
    }
}

#[tokio::test]
async fn a_mirror_without_signatures_is_not_no_signatures_where_the_origin_may_not_be_asked() {
    let unsigned = unsigned().await;
    let subject = Signed::new().subject();
    let closed = configured(mirrored(&[&unsigned], true));
    let error = closed.referrers(&repository(), &subject, NOTATION, &anonymous()).await.unwrap_err();
    assert!(matches!(&error, Error::SignaturesNotMirrored { .. }), "{error}");
    assert!(error.to_string().contains("--disable-default-registry-endpoint"), "{error}");
    // Unless the file says that the mirror's word is the last one.
    let yaml = format!(
        "mirrors: {{registry.test: {{endpoint: ['http://{}']}}}}\nsignatures: {{registry.test: []}}",
        unsigned.host()
    );
    let mut final_word = RegistriesConfig::parse(yaml.as_bytes()).unwrap();
    final_word.disable_origins();
    let list = configured(final_word).referrers(&repository(), &subject, NOTATION, &anonymous()).await.unwrap();
    assert_eq!(list, []);
}

#[tokio::test]
async fn signatures_in_another_repository_are_found_and_fetched_there() {
    let signed = Signed::new();
    let unsigned = {
        let signed = signed.clone();
        Server::start("127.0.0.1", move |seen: &Seen| match seen.path() {
            path if path == signed.image_path() => signed.answer(seen),
            path if path == signed.referrers_path() => list(&[]),
            _ => Script::error(404, "MANIFEST_UNKNOWN"),
        })
        .await
    };
    let elsewhere = {
        let signed = signed.clone();
        Server::start("127.0.0.2", move |seen: &Seen| {
            let moved = Seen { target: seen.target.replace("/v2/signatures/app/", "/v2/app/"), ..seen.clone() };
            signed.answer(&moved)
        })
        .await
    };
    let (host, other) = (unsigned.host(), elsewhere.host());
    let yaml = format!(
        "mirrors: {{registry.test: {{endpoint: ['http://{host}']}}, '{other}': {{endpoint: ['http://{other}']}}}}\n\
         signatures: {{registry.test: ['{other}/signatures/*']}}"
    );
    let mut registries = RegistriesConfig::parse(yaml.as_bytes()).unwrap();
    registries.disable_origins();
    let client = configured(registries);
    // A pull secret for the other place is given to it, and to nobody else.
    let joe = login(&[(&other, "joe", "s3cret")]);
    let found = client.referrers(&repository(), &signed.subject(), NOTATION, &joe).await.unwrap();
    let bytes = client.manifest(&repository(), &found[0], &joe).await.unwrap();
    assert_eq!(bytes, signed.signature);
    let key = |credentials| client.credential_key(&repository(), &credentials);
    assert_ne!(key(joe), key(anonymous()), "what was shown to joe there is not for everybody");
}

#[tokio::test]
async fn a_failing_mirror_before_an_origin_without_signatures_is_the_mirrors_failure() {
    let broken = Server::start("127.0.0.1", |_: &Seen| Script::status(503)).await;
    let unsigned = unsigned().await;
    let client = configured(mirrored(&[&broken, &unsigned], true));
    let error = client.referrers(&repository(), &Signed::new().subject(), NOTATION, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn not_found_needs_every_endpoint_to_say_so() {
    let missing = Server::start("127.0.0.1", |_: &Seen| Script::status(404)).await;
    let broken = Server::start("127.0.0.1", |_: &Seen| Script::status(500)).await;
    let target = Target::Digest(Signed::new().subject());
    let client = configured(mirrored(&[&missing, &broken], true));
    let error = client.resolve(&repository(), &target, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let client = configured(mirrored(&[&missing], true));
    let error = client.resolve(&repository(), &target, &anonymous()).await.unwrap_err();
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}

#[tokio::test]
async fn a_pull_secret_for_the_mirror_tells_tenants_apart() {
    let mirror = good().await;
    let client = configured(mirrored(&[&mirror], true));
    let key = |credentials| client.credential_key(&repository(), &credentials);
    let joe = login(&[(&mirror.host(), "joe", "s3cret")]);
    assert_ne!(key(joe.clone()), key(anonymous()));
    assert_eq!(key(joe.clone()), key(joe));
    assert_eq!(key(login(&[("elsewhere.test", "joe", "s3cret")])), key(anonymous()));
}

#[tokio::test]
async fn the_registrys_password_is_not_given_to_its_mirror() {
    let mirror =
        Server::start("127.0.0.1", |_: &Seen| Script::status(401).with("WWW-Authenticate", "Basic realm=give")).await;
    let client = configured(mirrored(&[&mirror], true));
    let joe = login(&[("registry.test", "joe", "s3cret")]);
    let target = Target::Tag("v1".to_owned());
    let error = client.resolve(&repository(), &target, &joe).await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(mirror.seen().iter().all(|seen| seen.header("authorization").is_none()));
}
