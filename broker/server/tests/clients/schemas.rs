//! Our messages against those of kafka-python, which has Kafka's own schemas: it makes requests and
//! responses of every API at every version that is spoken here; they must be read with the values
//! that it has put into them, and written back as the same bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use wire::{ApiKey, ErrorCode, FRAME_PREFIX_SIZE_BYTES, Frame, Response, decode_request};

use crate::process::run;
use crate::scripts::{PROGRAM_LIMIT, python};

#[path = "../../../wire/src/messages/tests/shown.rs"]
mod shown;

/// What kafka-python does not have: API, version and kind.
const MISSING: [(ApiKey, i16, &str); 8] = [
    (ApiKey::ConsumerGroupHeartbeat, 0, "request"),
    (ApiKey::ConsumerGroupHeartbeat, 0, "response"),
    (ApiKey::ConsumerGroupHeartbeat, 1, "request"),
    (ApiKey::ConsumerGroupHeartbeat, 1, "response"),
    (ApiKey::ConsumerGroupDescribe, 0, "request"),
    (ApiKey::ConsumerGroupDescribe, 0, "response"),
    (ApiKey::ConsumerGroupDescribe, 1, "request"),
    (ApiKey::ConsumerGroupDescribe, 1, "response"),
];
/// Of each kind and version.
const STYLES: [&str; 3] = ["nothing", "each", "extremes"];
const CORRELATION_ID: i32 = 77;
const CLIENT_ID: &str = "schemas-é";
/// What both show in different ways: records, and an id that is no topic's.
const NOT_COMPARED: [&str; 2] = [".records", ".replica_directory_id"];

/// A message of kafka-python's.
struct Sample {
    api: ApiKey,
    version: i16,
    kind: String,
    style: String,
    frame: Bytes,
    values: BTreeMap<String, String>,
}

impl Sample {
    fn read(line: &str) -> Sample {
        let sample: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| sample[name].as_str().unwrap().to_owned();
        let digits = text("frame").into_bytes();
        let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
        let values = sample["values"].as_object().unwrap().iter();
        Sample {
            api: api_named(&text("api")),
            version: i16::try_from(sample["version"].as_i64().unwrap()).unwrap(),
            kind: text("kind"),
            style: text("style"),
            frame: digits.chunks(2).map(byte).collect(),
            values: values
                .map(|(path, value)| (path.clone(), shown::as_topic_id(value.as_str().unwrap())))
                .filter(|(path, _)| is_compared(path))
                .collect(),
        }
    }

    fn check(&self) {
        let Sample { api, version, kind, style, frame, values } = self;
        let what = format!("{api} {version} {kind} with {style}");
        let body = frame.slice(FRAME_PREFIX_SIZE_BYTES..);
        let (written, ours) = match kind.as_str() {
            "request" => {
                let (header, request) = decode_request(&body).expect(&what);
                assert_eq!((header.api_key, header.api_version), (*api, *version), "{what}");
                assert_eq!(header.correlation_id, CORRELATION_ID, "{what}");
                assert_eq!(header.client_id.as_deref(), Some(CLIENT_ID), "{what}");
                let client_id = header.client_id.clone();
                let written = request.encode(*version, header.correlation_id, client_id);
                (written, shown::values_of(&request))
            }
            _ => {
                let (correlation_id, response) =
                    Response::decode(*api, *version, &body).expect(&what);
                assert_eq!(correlation_id, CORRELATION_ID, "{what}");
                let written = response.encode(*version, correlation_id);
                (written, shown::values_of(&response))
            }
        };
        let written: Option<Bytes> = written.ok().as_ref().and_then(Frame::contiguous);
        assert_eq!(written.as_ref(), Some(frame), "{what} is written otherwise");
        for (path, value) in values {
            let ours = ours.get(path).map(|value| match path.ends_with("error_code") {
                true => code_of(value),
                false => value.clone(),
            });
            assert_eq!(ours.as_ref(), Some(value), "{what}: {path}");
        }
    }
}

fn api_named(name: &str) -> ApiKey {
    *ApiKey::ALL.iter().find(|api| api.name() == name).expect("it was asked for")
}

fn is_compared(path: &str) -> bool {
    !NOT_COMPARED.iter().any(|name| path.contains(name))
}

/// The number of an error code that is shown by its name.
fn code_of(shown: &str) -> String {
    let known = ErrorCode::ALL.iter().find(|error| format!("{error:?}") == shown);
    known.map_or_else(|| shown.to_owned(), |error| error.code().to_string())
}

#[test]
fn kafka_python_makes_the_same_messages() {
    let Some(mut command) = python("schemas.py") else { return };
    let asked = ApiKey::ALL.iter().map(|api| format!("{}:{}", api.name(), api.versions()));
    let lines = run("schemas.py", command.args(asked), "", PROGRAM_LIMIT).unwrap();
    let (last, lines) = lines.split_last().expect("it prints what it lacks");
    let missing: Vec<(String, i16, String)> = serde_json::from_str(last).unwrap();
    let missing: Vec<_> = missing
        .iter()
        .map(|(api, version, kind)| (api_named(api), *version, kind.as_str()))
        .collect();
    assert_eq!(missing, MISSING);
    let mut styles: BTreeMap<(ApiKey, i16, String), Vec<String>> = BTreeMap::new();
    let mut values_count = 0;
    for sample in lines.iter().map(|line| Sample::read(line)) {
        sample.check();
        values_count += sample.values.len();
        let Sample { api, version, kind, style, .. } = sample;
        styles.entry((api, version, kind)).or_default().push(style);
    }
    for api in ApiKey::ALL {
        let versions = api.versions();
        for version in versions.min..=versions.max {
            for kind in ["request", "response"] {
                let is_missing = MISSING.contains(&(*api, version, kind));
                let made = styles.remove(&(*api, version, kind.to_owned())).unwrap_or_default();
                assert_eq!(made.is_empty(), is_missing, "{api} {version} {kind}");
                assert!(is_missing || made == STYLES, "{api} {version} {kind}: {made:?}");
            }
        }
    }
    assert!(5_000 < values_count, "only {values_count} values were compared");
}
