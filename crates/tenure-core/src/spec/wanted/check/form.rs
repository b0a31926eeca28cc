//! How checks are written: as a name, or as a table of the name and what belongs to it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use crate::spec::amount::Span;

use super::super::status_codes::StatusCodes;
use super::{Health, HttpCheck, Ready, TcpCheck};

/// The names of the checks that carry no value of their own.
const BARE: [&str; 4] = ["tcp", "notify", "fd", "up"];

/// What is wrong where no check, or an unknown one, is named.
const KINDS: &str = "name one check: http, tcp, exec, log, notify, fd or up";

/// A check that is its name.
fn bare(word: &str) -> Option<Ready> {
    Some(match word {
        "tcp" => Ready::Tcp(TcpCheck::default()),
        "notify" => Ready::Notify,
        "fd" => Ready::Fd,
        "up" => Ready::Up,
        _ => return None,
    })
}

impl Serialize for Ready {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const NAME: &str = "Ready";
        match self {
            Self::Up => serializer.serialize_unit_variant(NAME, 0, "up"),
            Self::Http(check) if check.is_plain() => {
                serializer.serialize_newtype_variant(NAME, 1, "http", &check.path)
            }
            Self::Http(check) => {
                let mut map = serializer.serialize_map(None)?;
                map.serialize_entry("http", &check.path)?;
                if let Some(listener) = &check.listener {
                    map.serialize_entry("listener", listener)?;
                }
                for (key, codes) in [("status", &check.status), ("degraded", &check.degraded)] {
                    if !codes.is_empty() {
                        map.serialize_entry(key, codes)?;
                    }
                }
                if !check.headers.is_empty() {
                    map.serialize_entry("headers", &check.headers)?;
                }
                if check.tls {
                    map.serialize_entry("tls", &true)?;
                }
                map.end()
            }
            Self::Tcp(TcpCheck { listener: None }) => serializer.serialize_unit_variant(NAME, 2, "tcp"),
            Self::Tcp(TcpCheck { listener: Some(listener) }) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("tcp", &())?;
                map.serialize_entry("listener", listener)?;
                map.end()
            }
            Self::Exec(words) => serializer.serialize_newtype_variant(NAME, 3, "exec", words),
            Self::Log(pattern) => serializer.serialize_newtype_variant(NAME, 4, "log", pattern),
            Self::Notify => serializer.serialize_unit_variant(NAME, 5, "notify"),
            Self::Fd => serializer.serialize_unit_variant(NAME, 6, "fd"),
        }
    }
}

impl<'de> Deserialize<'de> for Ready {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Written;

        impl<'de> Visitor<'de> for Written {
            type Value = Ready;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a check, or a table")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Ready, E> {
                bare(word).ok_or_else(|| match word {
                    "http" => E::custom("`http` takes a path: write { http = \"/\" }"),
                    "exec" => E::custom("`exec` takes a command: write { exec = [\"PROGRAM\"] }"),
                    "log" => E::custom("`log` takes a pattern: write { log = \"listening\" }"),
                    _ => E::custom(format!("{word:?} is no check: {KINDS}")),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ready, A::Error> {
                let form = CheckForm::deserialize(MapAccessDeserializer::new(map))?;
                form.try_into().map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Written)
    }
}

/// A check as a table.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct CheckForm {
    http: Option<String>,
    #[serde(deserialize_with = "is_said")]
    tcp: Option<()>,
    exec: Option<Vec<String>>,
    log: Option<String>,
    #[serde(deserialize_with = "is_said")]
    notify: Option<()>,
    #[serde(deserialize_with = "is_said")]
    fd: Option<()>,
    #[serde(deserialize_with = "is_said")]
    up: Option<()>,
    listener: Option<String>,
    status: Vec<StatusCodes>,
    degraded: Vec<StatusCodes>,
    headers: BTreeMap<String, String>,
    tls: bool,
}

/// A check without a value of its own is said by its key: `true` in TOML, `null` in JSON.
fn is_said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<()>, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| Some(()))
}

impl TryFrom<CheckForm> for Ready {
    type Error = String;

    fn try_from(form: CheckForm) -> Result<Self, String> {
        let CheckForm { http, tcp, exec, log, notify, fd, up, listener, status, degraded, headers, tls } =
            form;
        let is_http = http.is_some();
        let details = HttpCheck { path: String::new(), listener, status, degraded, headers, tls };
        if !is_http {
            let only_listener = HttpCheck { listener: details.listener.clone(), ..HttpCheck::default() };
            if details != only_listener {
                return Err(
                    "`status`, `degraded`, `headers` and `tls` belong to `http`: remove them".to_owned()
                );
            }
            if details.listener.is_some() && tcp.is_none() {
                return Err("`listener` belongs to `http` and `tcp`: remove it".to_owned());
            }
        }
        let said = BARE.into_iter().zip([tcp, notify, fd, up]).filter(|(_, said)| said.is_some());
        let mut named: Vec<Self> = said.filter_map(|(word, _)| bare(word)).collect();
        if let Some(Self::Tcp(check)) = named.first_mut() {
            check.listener.clone_from(&details.listener);
        }
        named.extend(http.map(|path| Self::Http(HttpCheck { path, ..details })));
        named.extend(exec.map(Self::Exec));
        named.extend(log.map(Self::Log));
        match (named.pop(), named.pop()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(KINDS.to_owned()),
            (Some(one), Some(other)) => {
                Err(format!("it names `{}` and `{}`: keep one of them", other.word(), one.word()))
            }
        }
    }
}

/// A check that is repeated, as a table.
#[derive(Deserialize)]
pub(super) struct HealthForm {
    #[serde(flatten)]
    check: CheckForm,
    #[serde(default = "Health::interval")]
    interval: Span,
    #[serde(default = "Health::timeout")]
    timeout: Span,
    #[serde(default = "Health::failures")]
    failures: u32,
}

impl TryFrom<HealthForm> for Health {
    type Error = String;

    fn try_from(form: HealthForm) -> Result<Self, String> {
        let HealthForm { check, interval, timeout, failures } = form;
        Ok(Self { check: check.try_into()?, interval, timeout, failures })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(json: serde_json::Value) -> Result<Ready, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_check_that_says_no_more_than_its_name_is_written_as_before() {
        for (ready, alone, in_health) in [
            (Ready::Http("/".into()), json!({ "http": "/" }), json!("/")),
            (Ready::Tcp(TcpCheck::default()), json!("tcp"), json!(null)),
            (Ready::Exec(vec!["x".into()]), json!({ "exec": ["x"] }), json!(["x"])),
        ] {
            assert_eq!(serde_json::to_value(&ready).expect("JSON"), alone);
            assert_eq!(read(alone), Ok(ready.clone()));
            let health = Health::of(ready.clone());
            let written = json!({
                ready.word(): in_health, "interval": "10s", "timeout": "2s", "failures": 3
            });
            assert_eq!(serde_json::to_value(&health).expect("JSON"), written);
            assert_eq!(serde_json::from_value::<Health>(written).expect("reads"), health);
        }
    }

    #[test]
    fn the_details_of_a_check_are_read_as_they_are_written() {
        let written = json!({
            "http": "/live", "listener": "admin", "status": [200, "3xx"], "degraded": [503, "520-529"],
            "headers": { "Host": "shop.test" }, "tls": true,
        });
        let ready = read(written.clone()).expect("it reads");
        assert_eq!(serde_json::to_value(&ready).expect("JSON"), written);
        let Ready::Http(check) = &ready else { panic!("{ready:?}") };
        assert!(check.passes(200) && check.passes(302) && !check.passes(204));
        assert!(check.is_degraded(503) && check.is_degraded(521) && !check.is_degraded(500));
        let written = json!({ "tcp": null, "listener": "pg" });
        let tcp = read(written.clone()).expect("it reads");
        assert_eq!((tcp.listener(), serde_json::to_value(&tcp).expect("JSON")), (Some("pg"), written));
    }

    #[test]
    fn what_is_no_check_says_what_one_is() {
        for (written, wanted) in [
            (json!("tpc"), "\"tpc\" is no check: name one check"),
            (json!("http"), "write { http = \"/\" }"),
            (json!({}), "name one check"),
            (json!({ "http": "/", "tcp": true }), "it names `tcp` and `http`: keep one"),
            (json!({ "exec": ["x"], "tls": true }), "belong to `http`"),
            (json!({ "notify": true, "listener": "a" }), "belongs to `http` and `tcp`"),
            (json!({ "http": "/", "status": [99] }), "from 200 to 599"),
            (json!({ "http": "/", "status": ["2x"] }), "\"2x\" as a status"),
            (json!({ "http": "/", "status": [true] }), "\"true\" as a status"),
        ] {
            let refused = read(written.clone()).expect_err("it is refused");
            assert!(refused.contains(wanted), "{written}: {refused}");
        }
    }
}
