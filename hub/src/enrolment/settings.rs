//! The ConfigMap `vitistack-hub`: changed by compare-and-swap only, since every replica and every start writes it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tracing::info;
use vitistack_fault as fault;
use vitistack_protocol::ids::HubEpoch;

use super::{Error, HUB_CONFIG_MAP, RACES, config, damaged_config, record};

/// Raises the epoch by one, or beyond `above` if that is more, and answers the new one. Once at each start of a leader,
/// and when a person resumes a hub that was behind its agents.
///
/// # Errors
/// When the API does not answer, or the ConfigMap holds no number where the epoch should be.
pub async fn raise_epoch(
    client: &Client,
    namespace: &str,
    above: HubEpoch,
) -> Result<HubEpoch, Error> {
    fault::before("hub.epoch.raise");
    let data = amend(client, namespace, |data| {
        let next = record::next_epoch(data, above.0)?;
        data.insert(record::EPOCH.to_owned(), next.to_string());
        Ok(())
    })
    .await?;
    fault::after("hub.epoch.raise");
    let epoch = record::epoch(&data).map_err(damaged_config)?;
    info!(epoch, "hub epoch raised");
    Ok(HubEpoch(epoch))
}

/// Changes the ConfigMap, making it if there is none. Nothing is written when `change` changes nothing.
pub(super) async fn amend(
    client: &Client,
    namespace: &str,
    change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), String>,
) -> Result<BTreeMap<String, String>, Error> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    for _ in 0..RACES {
        let known = maps.get_opt(HUB_CONFIG_MAP).await.map_err(config("read"))?;
        let is_new = known.is_none();
        let mut map = known.unwrap_or_else(|| ConfigMap {
            metadata: ObjectMeta {
                name: Some(HUB_CONFIG_MAP.to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        });
        let mut data = map.data.clone().unwrap_or_default();
        change(&mut data).map_err(damaged_config)?;
        if !is_new && map.data.as_ref() == Some(&data) {
            return Ok(data);
        }
        map.data = Some(data.clone());
        let written = if is_new {
            maps.create(&PostParams::default(), &map).await
        } else {
            maps.replace(HUB_CONFIG_MAP, &PostParams::default(), &map)
                .await
        };
        match written {
            Ok(_) => return Ok(data),
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(source) => return Err(config("write")(source)),
        }
    }
    Err(Error::Contended {
        kind: "ConfigMap",
        name: HUB_CONFIG_MAP.to_owned(),
    })
}
