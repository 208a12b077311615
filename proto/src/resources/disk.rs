//! What a disk resource is beyond its size: where it lies, and whether its data stays.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use super::Labels;
use crate::v1;

/// What tells one disk from another. Equality leaves out how a disk is used (the volume and the
/// principal): a framework may say that anew each time it uses it (as Mesos compares).
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// Set on persistent volumes.
    pub persistence: Option<Persistence>,
    /// Where it lies; `None` for the agent's work directory.
    pub source: Option<DiskSource>,
    /// How a container sees it. Passed on, not looked into.
    pub volume: Option<v1::Volume>,
}

/// What makes a disk's data outlive its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Persistence {
    /// Names the volume among those of its role on the agent; a valid file name.
    pub id: Arc<str>,
    /// Who created it.
    pub principal: Option<Arc<str>>,
}

/// Where a disk lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskSource {
    /// What it is.
    pub kind: DiskKind,
    /// Its directory, for [`DiskKind::Path`] and [`DiskKind::Mount`].
    pub root: Option<Arc<str>>,
    /// Who makes it.
    pub vendor: Option<Arc<str>>,
    /// Names it for the provider that has it.
    pub id: Option<Arc<str>>,
    /// What the provider knows of it.
    pub metadata: Labels,
    /// The class of disk that the operator configured.
    pub profile: Option<Arc<str>>,
}

/// Kinds of disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskKind {
    /// A directory on a shared file system: may be cut into parts.
    Path,
    /// A whole file system.
    Mount,
    /// A whole block device.
    Block,
    /// Not yet either: a provider's disk, or without an id its pool.
    Raw,
}

impl Disk {
    /// The disk of a persistent volume in the agent's work directory.
    pub fn persistent(id: &str, principal: Option<&str>) -> Self {
        let persistence = Persistence { id: id.into(), principal: principal.map(Arc::from) };
        Self { persistence: Some(persistence), ..Self::default() }
    }

    /// The disk of `source`, without a volume on it.
    pub fn of(source: DiskSource) -> Self {
        Self { source: Some(source), ..Self::default() }
    }

    /// Whether no part may be taken: the whole of it or nothing.
    ///
    /// So are persistent volumes, mounts, block devices and RAW disks with an id. A RAW disk
    /// without an id is a provider's pool, which disks are cut from.
    pub fn is_indivisible(&self) -> bool {
        let source = self.source.as_ref().is_some_and(|source| match source.kind {
            DiskKind::Path => false,
            DiskKind::Mount | DiskKind::Block => true,
            DiskKind::Raw => source.id.is_some(),
        });
        source || self.persistence.is_some()
    }

    fn identity(&self) -> (Option<&str>, Option<&DiskSource>) {
        (self.persistence.as_ref().map(|persistence| &*persistence.id), self.source.as_ref())
    }
}

impl DiskSource {
    /// A source of `kind` at `root`, of which nothing else is known.
    pub fn at(kind: DiskKind, root: Option<&str>) -> Self {
        Self {
            kind,
            root: root.map(Arc::from),
            vendor: None,
            id: None,
            metadata: Labels::default(),
            profile: None,
        }
    }
}

impl DiskKind {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "PATH",
            Self::Mount => "MOUNT",
            Self::Block => "BLOCK",
            Self::Raw => "RAW",
        }
    }
}

impl PartialEq for Disk {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Disk {}

impl PartialOrd for Disk {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Disk {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}

/// `MOUNT:/mnt/a,volume:path`, as Mesos prints it between brackets.
impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            f.write_str(source.kind.as_str())?;
            if source.id.is_some() || source.profile.is_some() {
                let known =
                    |part: &Option<Arc<str>>| part.as_deref().unwrap_or_default().to_owned();
                write!(f, "({},{})", known(&source.id), known(&source.profile))?;
            }
            if let Some(root) = &source.root {
                write!(f, ":{root}")?;
            }
        }
        if let Some(persistence) = &self.persistence {
            let comma = if self.source.is_some() { "," } else { "" };
            write!(f, "{comma}{}", persistence.id)?;
        }
        match self.volume.as_ref().and_then(|volume| volume.container_path.as_deref()) {
            Some(path) => write!(f, ":{path}"),
            None => Ok(()),
        }
    }
}
