//! The groups that this core coordinates: those of its partitions of `__consumer_offsets`.
//!
//! ```text
//!  connection's core                     owner core
//!  handlers::groups ── mesh ──► Hosted ─► coordinator::group::Groups
//!        ▲                        │ records ─► Replica::append ─► flushed
//!        │                        └ answers, in order, when what is before them is flushed
//!        ├── the answer to the call ◄───────────┤
//!        └── GroupReply, to joins and syncs ◄───┘
//! ```
//!
//! A join may wait for minutes. So it is not an open call, which would keep a place in the mesh: the
//! call is answered at once, and the connection's core is called back.
//!
//! Guarantees: what is answered is flushed; a group whose log refuses a record in the end (nobody
//! knows what it holds then) is read again from its log before anything more is answered.
//! Does not know: requests as bytes.

mod hosted;
mod log;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use coordinator::group::{
    Beat, Commit, ConsumerDescription, ConsumerHeartbeat, Description, GroupsSettings, Join,
    Leaving, Listing, MemberOf, OffsetsOf, Sync,
};
use model::PartitionIndex;
use replication::Replica;
use runtime::Reply;
use runtime::sync::budget::Budget;
use wire::ErrorCode;

use crate::call::{CoreAnswer, WatchId};
use crate::core::CoreMesh;
use crate::failure::Failure;
use crate::image::ClusterImage;
use hosted::Hosted;

/// Something that a group is asked, with the partition that has the group.
#[derive(Debug)]
pub(crate) struct GroupCall {
    pub(crate) partition: PartitionIndex,
    pub(crate) request: GroupRequest,
}

#[derive(Debug)]
pub(crate) enum GroupRequest {
    /// Answered by a `GroupReply` to whom it is.
    Join {
        waiter: WatchId,
        join: Box<Join>,
    },
    /// As above.
    Sync {
        waiter: WatchId,
        sync: Box<Sync>,
    },
    Heartbeat(MemberOf),
    Beat(Box<Beat>),
    Leave {
        group: String,
        leaving: Vec<Leaving>,
    },
    Commit(Commit),
    /// Of all partitions if it is not said of which.
    Offsets {
        group: String,
        /// Who asks, and in which epoch, if that is said (KIP-848).
        member: Option<(String, i32)>,
        partitions: Option<Vec<(String, Vec<PartitionIndex>)>>,
    },
    DeleteOffsets {
        group: String,
        partitions: Vec<(String, PartitionIndex)>,
    },
    Delete {
        group: String,
    },
    Describe {
        group: String,
    },
    DescribeConsumer {
        group: String,
    },
}

#[derive(Debug)]
pub(crate) enum GroupAnswer {
    Done,
    /// A `GroupReply` will come.
    Waits,
    /// What has become of each thing that was asked for.
    Outcomes(Vec<Result<(), Failure>>),
    Offsets(OffsetsOf),
    Described(Description),
    Beaten(ConsumerHeartbeat),
    DescribedConsumer(ConsumerDescription),
}

/// The core's image, as it is replaced.
type SharedImage = Rc<RefCell<Arc<ClusterImage>>>;

/// The groups of one core.
pub(crate) struct Groups {
    settings: GroupsSettings,
    mesh: Rc<CoreMesh>,
    image: SharedImage,
    partitions: RefCell<BTreeMap<PartitionIndex, Rc<Hosted>>>,
    /// One log is read at a time.
    loading: Rc<Budget>,
}

impl Groups {
    pub(crate) fn new(
        settings: GroupsSettings,
        mesh: Rc<CoreMesh>,
        image: Arc<ClusterImage>,
    ) -> Groups {
        let image = Rc::new(RefCell::new(image));
        let loading = Rc::new(Budget::new(1));
        Groups { settings, mesh, image, partitions: RefCell::default(), loading }
    }

    /// From now on these are the topics that there are.
    pub(crate) fn install(&self, image: Arc<ClusterImage>) {
        *self.image.borrow_mut() = image;
    }

    /// Takes up a partition of `__consumer_offsets`; its groups answer when its log is read.
    pub(crate) fn open(&self, replica: &Rc<Replica>) {
        let partition = replica.partition().partition;
        let (mesh, loading, image) = (self.mesh.clone(), self.loading.clone(), self.image.clone());
        let hosted = Hosted::open(replica.clone(), self.settings, mesh, image, loading);
        self.partitions.borrow_mut().insert(partition, hosted);
    }

    /// If the partition that leaves has groups: whoever waits is told.
    pub(crate) fn close(&self, replica: &Replica) {
        let partition = replica.partition();
        let hosted = {
            let mut all = self.partitions.borrow_mut();
            let is_it = |hosted: &Rc<Hosted>| hosted.partition() == partition;
            match all.entry(partition.partition) {
                Entry::Occupied(entry) if is_it(entry.get()) => Some(entry.remove()),
                Entry::Occupied(_) | Entry::Vacant(_) => None,
            }
        };
        if let Some(hosted) = hosted {
            hosted.close();
        }
    }

    fn all(&self) -> Vec<Rc<Hosted>> {
        self.partitions.borrow().values().cloned().collect()
    }

    pub(crate) fn handle(&self, call: GroupCall, reply: Reply<CoreAnswer>) {
        let GroupCall { partition, request } = call;
        let hosted = self.partitions.borrow().get(&partition).cloned();
        match hosted {
            Some(hosted) => hosted.handle(request, reply),
            None => reply.send(CoreAnswer::Group(Err(not_here()))),
        }
    }

    /// All groups, unless some are not known yet.
    pub(crate) fn list(&self) -> Result<Vec<Listing>, Failure> {
        let mut all = Vec::new();
        for hosted in self.all() {
            all.extend(hosted.list()?);
        }
        Ok(all)
    }

    /// Topics that are not there any more are forgotten by every group; returns when that is
    /// flushed.
    pub(crate) async fn forget_topics(&self) {
        let forgetting: Vec<_> = self.all().iter().map(|hosted| hosted.forget_topics()).collect();
        for forgotten in forgetting {
            // One that fails is read anew, and forgets them then.
            let _ = forgotten.await;
        }
    }

    /// Offsets that have been kept long enough go, from time to time.
    pub(crate) async fn run_expiry(&self, interval: Duration) {
        loop {
            runtime::sleep(interval).await;
            for hosted in self.all() {
                hosted.expire_offsets();
                runtime::yield_now().await;
            }
        }
    }

    pub(crate) fn counts(&self) -> GroupCounts {
        let mut counts = GroupCounts::default();
        for hosted in self.all() {
            hosted.count(&mut counts);
        }
        counts
    }
}

/// For the metrics.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GroupCounts {
    pub(crate) groups: usize,
    pub(crate) members: usize,
}

fn not_here() -> Failure {
    Failure::new(ErrorCode::NotCoordinator, "the group is not coordinated here")
}
