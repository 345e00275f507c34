// SPDX-License-Identifier: Apache-2.0

//! `sealwatch mirror`, between real registries and OCI layouts; what refuses or interferes is a script.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sealwatch_e2e::cli::{Desk, Ran, run};
use sealwatch_e2e::scene::Signed;
use sealwatch_e2e::stage::{ACCOUNT, Stage};
use sealwatch_e2e::testenv::{
    Format, Identity, OperatorOptions, OperatorProcess, PushedImage, Registry, Result, SignOptions, cluster,
};
use serde_json::{Value, json};

async fn mirror(source: &str, target: &str, more: &[&str]) -> Result<Ran> {
    run(["mirror", "--insecure-registry", source, target].iter().chain(more)).await
}

/// An image with two signatures in one registry, the same image without any in another, and who signed it.
async fn scene(from: &Registry, referrers_api: bool, to: &Registry) -> Result<(Desk, PushedImage, PushedImage)> {
    let desk = Desk::set(from, referrers_api, &[]).await?;
    let image = from.push_image("team/app", "1.0", "mirrored").await?;
    for format in [Format::Cose, Format::Jws] {
        let options = SignOptions { format, referrers_api, ..SignOptions::default() };
        desk.notation.sign(&image.by_digest(), &desk.pki.operations, &options).await?;
    }
    let copy = to.push_image("mirror/team/app", "1.0", "mirrored").await?;
    assert_eq!(copy.digest, image.digest);
    from.clear_access_log();
    to.clear_access_log();
    Ok((desk, image, copy))
}

fn writes(registry: &Registry) -> Vec<String> {
    let log = registry.access_log();
    let writes = log.iter().filter(|request| !matches!(request.method.as_str(), "GET" | "HEAD"));
    writes.map(|request| format!("{} {}", request.method, request.path.split('?').next().unwrap_or_default())).collect()
}

/// What the registry's log has twice.
fn twice(registry: &Registry) -> Vec<String> {
    let mut seen = BTreeMap::new();
    for request in registry.access_log() {
        *seen.entry(format!("{} {}", request.method, request.path)).or_insert(0) += 1;
    }
    seen.into_iter().filter(|(_, count)| *count > 1).map(|(request, _)| request).collect()
}

async fn signatures_are_copied(from: Registry, referrers_api: bool, to: Registry) -> Result<()> {
    let (desk, image, copy) = scene(&from, referrers_api, &to).await?;
    assert!(desk.verify(&[&copy.by_digest()]).await?.stdout.contains("NoSignature"));
    to.clear_access_log();

    let dry = mirror(&image.by_digest(), &copy.repository, &["--dry-run"]).await?;
    let said = format!("2 signatures of {} to {}\n", image.by_digest(), copy.repository);
    assert_eq!((dry.code, dry.stderr.as_str()), (Some(0), ""), "{dry:?}");
    assert_eq!(dry.stdout, format!("Would copy {said}"));
    assert_eq!(writes(&to), [""; 0]);

    from.clear_access_log();
    to.clear_access_log();
    let ran = mirror(&image.by_digest(), &copy.repository, &[]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout, format!("Copied {said}"));
    assert_eq!(twice(&from), [""; 0]);
    let index = format!("GET /v2/mirror/team/app/manifests/{}", copy.digest.replace(':', "-"));
    // The index of referrers is read to list what is there, to change it, and to see that the change has stayed; and
    // two blobs are begun alike.
    let again: Vec<String> =
        twice(&to).into_iter().filter(|request| *request != index && !request.ends_with("/uploads/")).collect();
    assert_eq!(again, [""; 0]);
    let order = writes(&to);
    let first_manifest = order.iter().position(|request| request.contains("/manifests/"));
    let first_blob = order.iter().position(|request| request.contains("/blobs/"));
    assert!(first_blob < first_manifest, "{order:?}");

    for name in [&image, &copy] {
        assert_eq!(desk.verify(&[&name.by_digest()]).await?.code, Some(0), "{}", name.repository);
    }
    let said = desk.notation.verify(&copy.by_digest()).await?;
    assert!(said.status.success(), "{said:?}");
    assert_eq!(digests(&image.by_digest()).await?, digests(&copy.by_digest()).await?);

    // Once more: nothing is left to do, and nothing is sent.
    to.clear_access_log();
    let ran = mirror(&image.by_digest(), &copy.repository, &["-o", "json"]).await?;
    let answer: Value = serde_json::from_str(&ran.stdout)?;
    let states: Vec<&Value> = answer["signatures"].as_array().into_iter().flatten().map(|one| &one["state"]).collect();
    assert_eq!(states, ["Present", "Present"]);
    assert_eq!((ran.code, writes(&to)), (Some(0), Vec::new()));
    Ok(())
}

/// The digests of an image's signatures.
async fn digests(image: &str) -> Result<Vec<String>> {
    let ran = run(["inspect", "--insecure-registry", "-o", "json", image]).await?;
    let answer: Value = serde_json::from_str(&ran.stdout)?;
    let signatures = answer[0]["signatures"].as_array().into_iter().flatten();
    let mut digests: Vec<String> =
        signatures.map(|signature| signature["digest"].as_str().unwrap_or_default().to_owned()).collect();
    digests.sort();
    assert_eq!(digests.len(), 2, "{answer}");
    Ok(digests)
}

#[tokio::test]
async fn signatures_are_copied_to_a_registry_without_the_referrers_api() -> Result<()> {
    signatures_are_copied(Registry::olareg().await?, true, Registry::distribution().await?).await
}

#[tokio::test]
async fn signatures_are_copied_to_a_registry_with_the_referrers_api() -> Result<()> {
    signatures_are_copied(Registry::distribution().await?, false, Registry::olareg().await?).await
}

#[tokio::test]
async fn signatures_travel_in_a_layout() -> Result<()> {
    let (from, to) = (Registry::olareg().await?, Registry::distribution().await?);
    let (desk, image, copy) = scene(&from, true, &to).await?;
    let folder = desk.folder().join("carried");
    let layout = format!("oci-layout:{}", folder.display());
    let dry = mirror(&image.by_digest(), &layout, &["--dry-run"]).await?;
    assert_eq!((dry.code, folder.exists()), (Some(0), false), "{dry:?}");
    let ran = mirror(&image.by_digest(), &layout, &[]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let left: Vec<_> =
        fs::read_dir(desk.folder())?.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    assert!(!left.iter().any(|name| name.starts_with(".sealwatch")), "{left:?}");
    let again = mirror(&image.by_digest(), &layout, &[]).await?;
    assert!(again.stdout.starts_with(&format!("{layout} has the 2 signatures of ")), "{again:?}");

    let from_layout = format!("{layout}@{}", image.digest);
    let ran = mirror(&from_layout, &copy.repository, &[]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(desk.verify(&[&copy.by_digest()]).await?.code, Some(0));
    assert_eq!(digests(&image.by_digest()).await?, digests(&copy.by_digest()).await?);
    Ok(())
}

#[tokio::test]
async fn the_operator_finds_what_was_copied_to_its_mirror() -> Result<()> {
    let stage = Stage::set(cluster().await?, "mirror").await?;
    let (mut origin, mirror_registry) = (Registry::olareg().await?, Registry::distribution().await?);
    let (_, images) = stage.play("microsoft", &origin, true, &[Signed::Cose]).await?;
    let image = images.of(Signed::Cose)?;
    let contents = format!("{} {}", Signed::Cose.repository(), Signed::Cose.caption());
    let copy = mirror_registry.push_image(Signed::Cose.repository(), "1.2.36", &contents).await?;
    assert_eq!(copy.digest, image.digest);
    let ran = mirror(&image.by_digest(), &copy.repository, &[]).await?;
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    origin.stop();

    let account = Identity::ServiceAccount { namespace: ACCOUNT.0, name: ACCOUNT.1 };
    let kubeconfig = stage.cluster.kubeconfig_for(account).await?.display().to_string();
    let registries = stage.folder.path().join("mirrors.yaml");
    let endpoint = format!("http://{}", mirror_registry.host());
    fs::write(&registries, json!({"mirrors": {origin.host(): {"endpoint": [endpoint]}}}).to_string())?;
    let args = ["operator", "--log-format", "text", "--listen", "127.0.0.1:0", "--kubeconfig", &kubeconfig];
    let more =
        ["--watch-namespace", &stage.namespace, "--registries", &registries.display().to_string()].map(str::to_owned);
    let args = args.map(str::to_owned).into_iter().chain(more).collect();
    let _operator = OperatorProcess::start(&OperatorOptions { args, ..OperatorOptions::default() })?;
    stage.until("the verdict", |seen| seen.reason(Signed::Cose.short()) == "SignatureValid").await?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_copied_is_one_sentence_with_its_exit_code() -> Result<()> {
    let (from, to) = (Registry::olareg().await?, Registry::distribution().await?);
    let (desk, image, copy) = scene(&from, true, &to).await?;
    let unsigned = from.push_image("team/unsigned", "1", "unsigned").await?;
    let ran = mirror(&unsigned.by_digest(), &copy.repository, &[]).await?;
    assert_eq!((ran.code, ran.stdout), (Some(1), format!("{} has no signature\n", unsigned.by_digest())));
    for (source, target) in [
        (image.reference.as_str(), copy.repository.as_str()),
        (&image.by_digest(), "Upper/x"),
        (&image.by_digest(), &copy.reference),
        ("oci-layout:/absent@sha256:1", &copy.repository),
        (&image.by_digest(), &format!("oci-layout:{}", desk.folder().display())),
    ] {
        let ran = mirror(source, target, &[]).await?;
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.lines().count()), (Some(2), "", 1), "{source}: {ran:?}");
    }
    assert_eq!(writes(&to), [""; 0]);
    // A repository without the image is more likely a slip than a wish.
    let ran = mirror(&image.by_digest(), &format!("{}/typo", to.host()), &[]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("does not have the image itself"), "{ran:?}");
    Ok(())
}

/// A registry by script: what it has, what it was asked, and how it treats whoever writes.
#[derive(Clone, Default)]
struct Script {
    seen: Arc<Mutex<Vec<String>>>,
    /// The index of referrers.
    index: Arc<Mutex<Option<Bytes>>>,
    refuses: Option<(StatusCode, &'static str)>,
    location: Option<&'static str>,
    /// Whether a token is needed; the queries and `Authorization` headers with which one was asked for.
    tokens: Option<Arc<Mutex<Vec<String>>>>,
    /// Entries that somebody else puts in just before our next write.
    intruders: Arc<Mutex<Vec<Value>>>,
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.len())
}

async fn answer(State(script): State<Script>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Some(tokens) = &script.tokens {
        if uri.path() == "/token" {
            tokens.lock().expect("no panic").push(format!("{authorization} {}", uri.query().unwrap_or_default()));
            return json!({"token": "t"}).to_string().into_response();
        }
        if authorization != "Bearer t" {
            let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            let challenge = format!("Bearer realm=\"http://{host}/token\",scope=\"repository:app:pull,push,delete\"");
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response();
        }
    }
    script.answer(&method, uri.path(), &headers, body)
}

impl Script {
    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap, body: Bytes) -> Response {
        self.seen.lock().expect("no panic").push(format!("{method} {path}"));
        if path.contains("/referrers/") {
            return StatusCode::NOT_FOUND.into_response();
        }
        let is_index = path.contains("/manifests/sha256-");
        let mut index = self.index.lock().expect("no panic");
        match (method.clone(), is_index) {
            (Method::GET, true) => match &*index {
                Some(bytes) => {
                    let kind = "application/vnd.oci.image.index.v1+json".to_owned();
                    ([(header::CONTENT_TYPE, kind), (header::ETAG, etag(bytes))], bytes.clone()).into_response()
                }
                None => StatusCode::NOT_FOUND.into_response(),
            },
            (Method::GET | Method::HEAD, _) => StatusCode::NOT_FOUND.into_response(),
            _ if self.refuses.is_some() => {
                let (status, code) = self.refuses.expect("just looked");
                (status, json!({"errors": [{"code": code}]}).to_string()).into_response()
            }
            (Method::POST, _) => {
                let location = self.location.unwrap_or("/v2/upload").to_owned();
                (StatusCode::ACCEPTED, [(header::LOCATION, location)]).into_response()
            }
            (_, true) => {
                if let Some(intruder) = self.intruders.lock().expect("no panic").pop() {
                    let mut now: Value = index.as_deref().map_or_else(
                        || json!({"schemaVersion": 2, "manifests": []}),
                        |bytes| serde_json::from_slice(bytes).expect("an index"),
                    );
                    now["manifests"].as_array_mut().expect("a list").push(intruder);
                    *index = Some(now.to_string().into());
                }
                let wish = headers.get(header::IF_MATCH).and_then(|wish| wish.to_str().ok()).map(str::to_owned);
                let is_stale = wish.is_some_and(|wish| index.as_deref().map(etag) != Some(wish));
                if is_stale {
                    return StatusCode::PRECONDITION_FAILED.into_response();
                }
                *index = Some(body);
                StatusCode::CREATED.into_response()
            }
            _ => StatusCode::CREATED.into_response(),
        }
    }
}

/// Starts the script, and gives its host.
async fn serve(script: &Script) -> Result<String> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let host = listener.local_addr()?.to_string();
    let router = Router::new().fallback(answer).with_state(script.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(host)
}

impl Script {
    fn writes(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("no panic");
        seen.iter().filter(|line| !line.starts_with("GET") && !line.starts_with("HEAD")).cloned().collect()
    }
}

#[tokio::test]
async fn a_mirror_that_refuses_the_push_is_told_once_and_left_alone() -> Result<()> {
    let (from, other) = (Registry::olareg().await?, Registry::distribution().await?);
    let (_, image, _) = scene(&from, true, &other).await?;
    for (status, code, said) in [
        (StatusCode::FORBIDDEN, "DENIED", "could not push: forbidden: DENIED"),
        (StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "could not push: unauthorized"),
        (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", "the registry takes no push"),
        (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", "could not push: unavailable: status 500"),
    ] {
        let script = Script { refuses: Some((status, code)), ..Script::default() };
        let host = serve(&script).await?;
        let ran = mirror(&image.by_digest(), &format!("{host}/app"), &[]).await?;
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{ran:?}");
        let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("error: ")).collect();
        assert_eq!(errors.len(), 1, "{ran:?}");
        assert!(errors[0].contains(said), "{said}: {ran:?}");
        assert_eq!(script.writes(), ["POST /v2/app/blobs/uploads/"], "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn an_upload_goes_nowhere_but_to_the_registry_itself() -> Result<()> {
    let (from, other) = (Registry::olareg().await?, Registry::distribution().await?);
    let (_, image, _) = scene(&from, true, &other).await?;
    for location in ["http://127.0.0.2:9/v2/upload", "//127.0.0.2:9/v2/upload", "", "http://joe:secret@127.0.0.2:9/"] {
        let script = Script { location: Some(location), ..Script::default() };
        let host = serve(&script).await?;
        let ran = mirror(&image.by_digest(), &format!("{host}/app"), &[]).await?;
        let writes = script.writes();
        if location.is_empty() {
            // An empty Location is the place itself.
            assert!(writes.len() > 1, "{writes:?}");
            continue;
        }
        assert_eq!(
            (ran.code, writes),
            (Some(3), vec!["POST /v2/app/blobs/uploads/".to_owned()]),
            "{location}: {ran:?}"
        );
        assert!(ran.stderr.contains("leads to another host"), "{location}: {ran:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_others_write_into_the_index_meanwhile_stays() -> Result<()> {
    let (from, other) = (Registry::olareg().await?, Registry::distribution().await?);
    let (_, image, _) = scene(&from, true, &other).await?;
    let descriptor = |digit: &str| {
        json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 1, "artifactType": "a/b",
               "digest": format!("sha256:{}", digit.repeat(64))})
    };
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                       "manifests": [descriptor("1")]});
    let script = Script {
        index: Arc::new(Mutex::new(Some(index.to_string().into()))),
        intruders: Arc::new(Mutex::new(vec![descriptor("2"), descriptor("3")])),
        ..Script::default()
    };
    let host = serve(&script).await?;
    let ran = mirror(&image.by_digest(), &format!("{host}/app"), &[]).await?;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let index: Value = serde_json::from_slice(&script.index.lock().expect("no panic").clone().ok_or("no index")?)?;
    let listed = index["manifests"].as_array().ok_or("no list")?;
    assert_eq!(listed.len(), 5, "{index}");
    for kept in [descriptor("1"), descriptor("2"), descriptor("3")] {
        assert!(listed.contains(&kept), "{index}");
    }
    Ok(())
}

#[tokio::test]
async fn only_mirror_asks_for_leave_to_push_and_with_the_credentials_of_docker_login() -> Result<()> {
    let (from, other) = (Registry::olareg().await?, Registry::distribution().await?);
    let (desk, image, _) = scene(&from, true, &other).await?;
    let script = Script { tokens: Some(Arc::default()), ..Script::default() };
    let host = serve(&script).await?;
    // joe:secret
    desk.write("docker/config.json", &json!({"auths": {&host: {"auth": "am9lOnNlY3JldA=="}}}).to_string())?;
    let target = format!("{host}/app");
    let absent = format!("{target}@{}", image.digest);
    let asked = async |args: &[&str]| -> Result<(Option<i32>, Vec<String>)> {
        let mut command = sealwatch_e2e::cli::command(args)?;
        let output = command.env("DOCKER_CONFIG", desk.folder().join("docker")).output().await?;
        let tokens = script.tokens.as_ref().ok_or("no tokens")?;
        Ok((output.status.code(), std::mem::take(&mut *tokens.lock().expect("no panic"))))
    };
    let token = |actions: &str| format!("Basic am9lOnNlY3JldA== scope=repository%3Aapp%3A{actions}&account=joe");
    let account_first =
        |actions: &str| format!("Basic am9lOnNlY3JldA== account=joe&scope=repository%3Aapp%3A{actions}");
    let (code, tokens) = asked(&["mirror", "--insecure-registry", &image.by_digest(), &target]).await?;
    assert_eq!(code, Some(0), "{tokens:?}");
    let push = [token("pull%2Cpush"), account_first("pull%2Cpush")];
    assert!(tokens.len() == 1 && push.contains(&tokens[0]), "one token, for these two actions: {tokens:?}");
    let (code, tokens) = asked(&["inspect", "--insecure-registry", &absent]).await?;
    let pull = [token("pull"), account_first("pull")];
    assert!(code == Some(3) && tokens.len() == 1 && pull.contains(&tokens[0]), "{code:?} {tokens:?}");
    Ok(())
}
