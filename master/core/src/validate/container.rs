//! Containers: the body of their type, and volumes with one source each.

use meros_proto::v1;
use meros_proto::v1::container_info::Type;
use meros_proto::v1::volume::source;

use crate::validate::command;

/// What is wrong with `container`, if anything.
pub(super) fn check(container: &v1::ContainerInfo) -> Result<(), String> {
    container.volumes.iter().try_for_each(volume)?;
    match container.r#type() {
        Type::Mesos => Ok(()),
        Type::Docker => {
            let docker = container
                .docker
                .as_ref()
                .ok_or("DockerInfo 'docker' is not set for DOCKER typed ContainerInfo")?;
            match docker.parameters.iter().any(|parameter| parameter.key() == "name") {
                true => Err("Parameter in DockerInfo must not be 'name'".to_owned()),
                false => Ok(()),
            }
        }
    }
}

fn volume(volume: &v1::Volume) -> Result<(), String> {
    let wrong = |why: &str| format!("Invalid volume '{}': {why}", volume.container_path());
    let sources = [volume.host_path.is_some(), volume.image.is_some(), volume.source.is_some()];
    if sources.into_iter().filter(|set| *set).count() != 1 {
        return Err(wrong("exactly one of 'host_path', 'image' and 'source' should be set"));
    }
    volume.source.as_ref().map_or(Ok(()), source).map_err(|why| wrong(&why))
}

fn source(source: &v1::volume::Source) -> Result<(), String> {
    let (body, present) = match source.r#type() {
        source::Type::DockerVolume => ("docker_volume", source.docker_volume.is_some()),
        source::Type::HostPath => ("host_path", source.host_path.is_some()),
        source::Type::SandboxPath => ("sandbox_path", source.sandbox_path.is_some()),
        source::Type::Secret => ("secret", source.secret.is_some()),
        source::Type::CsiVolume => ("csi_volume", source.csi_volume.is_some()),
        source::Type::Unknown => return Err("'source.type' is unset or unknown".to_owned()),
    };
    if !present {
        return Err(format!("'source.{body}' is not set"));
    }
    source.secret.as_ref().map_or(Ok(()), command::secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(volume: v1::Volume) -> v1::ContainerInfo {
        v1::ContainerInfo {
            r#type: Some(Type::Mesos.into()),
            volumes: vec![volume],
            ..Default::default()
        }
    }

    #[test]
    fn a_volume_has_exactly_one_source() {
        let host = v1::Volume { host_path: Some("/srv".to_owned()), ..Default::default() };
        let sandbox = v1::volume::Source {
            r#type: Some(source::Type::SandboxPath.into()),
            sandbox_path: Some(source::SandboxPath::default()),
            ..Default::default()
        };
        let bodiless = v1::volume::Source { sandbox_path: None, ..sandbox.clone() };
        for (volume, valid) in [
            (host.clone(), true),
            (v1::Volume::default(), false),
            (v1::Volume { source: Some(sandbox.clone()), ..Default::default() }, true),
            (v1::Volume { source: Some(sandbox), ..host }, false),
            (v1::Volume { source: Some(bodiless), ..Default::default() }, false),
        ] {
            assert_eq!(check(&container(volume.clone())).is_ok(), valid, "{volume:?}");
        }
    }

    #[test]
    fn a_docker_container_needs_its_body_and_keeps_its_name_to_the_agent() {
        let docker = |key: &str| v1::ContainerInfo {
            r#type: Some(Type::Docker.into()),
            docker: Some(v1::container_info::DockerInfo {
                parameters: vec![v1::Parameter {
                    key: Some(key.to_owned()),
                    value: Some("v".to_owned()),
                }],
                ..Default::default()
            }),
            ..Default::default()
        };
        for (container, valid) in [
            (docker("label"), true),
            (docker("name"), false),
            (v1::ContainerInfo { docker: None, ..docker("label") }, false),
        ] {
            assert_eq!(check(&container).is_ok(), valid, "{container:?}");
        }
    }
}
