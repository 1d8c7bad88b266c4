//! Members of either kind that do what they are told.

use super::*;

pub(in crate::group) fn beat(member: &str, epoch: i32) -> Beat {
    Beat {
        group: "g".to_owned(),
        member: member.to_owned(),
        epoch,
        instance: None,
        rack: None,
        client: ClientInfo { id: "c".to_owned(), host: "/127.0.0.1".to_owned() },
        rebalance_timeout_ms: None,
        topics: None,
        regex: None,
        assignor: None,
        owned: None,
    }
}

pub(in crate::group) fn joining(member: &str, topics: &[&str]) -> Beat {
    Beat {
        rebalance_timeout_ms: Some(10_000),
        topics: Some(topics.iter().map(|name| (*name).to_owned()).collect()),
        owned: Some(Partitions::default()),
        ..beat(member, 0)
    }
}

pub(in crate::group) fn world_of(topics: &[(&str, i32)]) -> World {
    let mut world = World::new();
    world.topics.0 = topics.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    world
}

pub(in crate::group) fn say(
    world: &mut World,
    beat: &Beat,
) -> Result<ConsumerHeartbeat, GroupError> {
    world.turn(|groups, turn| groups.beat(turn, beat))
}

/// The numbers of partitions of one topic.
pub(in crate::group) fn numbers(partitions: &Partitions, topic: &str) -> Vec<i32> {
    let id = MemoryTopics::id_of(topic);
    let own = partitions.iter().filter(|(of, _)| *of == id);
    own.map(|(_, partition)| partition.0).collect()
}

/// A member that does what it is told.
#[derive(Clone, Debug, Default)]
pub(in crate::group) struct Obedient {
    pub(in crate::group) id: String,
    pub(in crate::group) epoch: i32,
    pub(in crate::group) owned: Partitions,
}

impl Obedient {
    pub(in crate::group) fn join(world: &mut World, id: &str, topics: &[&str]) -> Obedient {
        let told = say(world, &joining(id, topics)).unwrap();
        let owned = told.assignment.unwrap();
        Obedient { id: id.to_owned(), epoch: told.epoch, owned }
    }

    /// Whether it has anything to do.
    pub(in crate::group) fn beat(&mut self, world: &mut World) -> bool {
        let said = Beat { owned: Some(self.owned.clone()), ..beat(&self.id, self.epoch) };
        let told = say(world, &said).unwrap();
        let owned = told.assignment.unwrap_or_else(|| self.owned.clone());
        let is_other = owned != self.owned || told.epoch != self.epoch;
        (self.owned, self.epoch) = (owned, told.epoch);
        is_other
    }
}

/// Heartbeats until nothing changes.
pub(in crate::group) fn settle(world: &mut World, members: &mut [&mut Obedient]) {
    for _ in 0..20 {
        let changes: Vec<bool> = members.iter_mut().map(|member| member.beat(world)).collect();
        if !changes.contains(&true) {
            return;
        }
    }
    panic!("the group does not come to rest");
}

/// A member that joins and syncs, and leads where it has to.
#[derive(Clone, Debug)]
pub(in crate::group) struct Classic {
    pub(in crate::group) id: String,
    pub(in crate::group) instance: Option<String>,
    /// It keeps what it can while it joins; one that is not gives up everything before.
    pub(in crate::group) is_cooperative: bool,
    pub(in crate::group) topics: Vec<String>,
    /// -1 if it is in none.
    pub(in crate::group) generation: i32,
    pub(in crate::group) owned: Partitions,
    /// The assignment said less than it had, so that it joins once more.
    pub(in crate::group) has_to_join: bool,
}

impl Classic {
    pub(in crate::group) fn new(is_cooperative: bool, topics: &[&str]) -> Classic {
        Classic {
            id: String::new(),
            instance: None,
            is_cooperative,
            topics: topics.iter().map(|name| (*name).to_owned()).collect(),
            generation: -1,
            owned: Partitions::default(),
            has_to_join: true,
        }
    }

    pub(in crate::group) fn protocol(&self) -> &'static str {
        if self.is_cooperative { "cooperative-sticky" } else { "range" }
    }

    /// What it says when it joins now.
    pub(in crate::group) fn said(&mut self, world: &World) -> Join {
        if !self.is_cooperative || self.generation == -1 {
            self.owned = Partitions::default();
        }
        let protocols = vec![(self.protocol().to_owned(), self.subscription(world))];
        Join { instance: self.instance.clone(), protocols, ..join_of(&self.id) }
    }

    fn subscription(&self, world: &World) -> Bytes {
        let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
        let mut bytes = subscription(&topics).to_vec();
        bytes[1] = 1;
        bytes.extend((-1_i32).to_be_bytes());
        let owned = assignment_of(&world.topics, &self.owned);
        // An assignment has the partitions between its version and an assignor's data.
        bytes.extend(&owned[2..owned.len() - 4]);
        Bytes::from(bytes)
    }

    pub(in crate::group) fn ask_to_join(&mut self, world: &mut World) -> Ticket {
        let said = self.said(world);
        world.join(said)
    }

    /// It has joined. Gives the ticket of its sync.
    pub(in crate::group) fn hear_joined(&mut self, world: &mut World, joined: &Joined) -> Ticket {
        self.id.clone_from(&joined.member);
        self.generation = joined.generation;
        self.has_to_join = false;
        let assignments = lead(world, joined, self.is_cooperative);
        let member = member_of(&self.id, self.instance.as_deref(), self.generation);
        let (protocol_type, protocol) = (joined.protocol_type.clone(), joined.protocol.clone());
        world.sync(Sync { member, protocol_type, protocol, assignments })
    }

    /// It has an assignment.
    pub(in crate::group) fn hear_synced(&mut self, world: &World, assignment: &[u8]) {
        let before = std::mem::take(&mut self.owned);
        self.owned = read_assignment(&world.topics, assignment);
        self.has_to_join = !before.is_within(&self.owned);
    }

    /// Joins a group whose members wait for nobody, and asks for its assignment.
    pub(in crate::group) fn join_at_once(&mut self, world: &mut World) {
        let ticket = self.ask_to_join(world);
        let joined = world.joined(ticket);
        let ticket = self.hear_joined(world, &joined);
        let assignment = world.synced(ticket);
        self.hear_synced(world, &assignment);
    }

    /// Whether it was asked to join.
    pub(in crate::group) fn heartbeat(&mut self, world: &mut World) -> Result<(), GroupError> {
        world.heartbeat(&self.id, self.generation)
    }
}

/// Members that join a classic group together, until each has an assignment.
pub(in crate::group) fn rebalance(world: &mut World, members: &mut [&mut Classic]) {
    for _ in 0..5 {
        let tickets: Vec<Ticket> = members.iter_mut().map(|it| it.ask_to_join(world)).collect();
        for _ in 0..3 {
            // The first rebalance of a group waits for more members.
            if world.replies.len() < tickets.len() {
                world.pass_ms(3_000);
            }
        }
        let joined: Vec<Joined> = tickets.into_iter().map(|ticket| world.joined(ticket)).collect();
        let syncs = members.iter_mut().zip(&joined);
        let syncs: Vec<Ticket> = syncs.map(|(member, it)| member.hear_joined(world, it)).collect();
        for (member, sync) in members.iter_mut().zip(syncs) {
            let assignment = world.synced(sync);
            member.hear_synced(world, &assignment);
        }
        let needed: Vec<bool> = members.iter().map(|member| member.has_to_join).collect();
        if !needed.contains(&true) {
            return;
        }
    }
    panic!("the group does not come to rest");
}

/// What the leader gives: every member gets its turn. Where members keep what they have, nothing is
/// given that another one has yet to give up.
fn lead(world: &World, joined: &Joined, is_cooperative: bool) -> Vec<(String, Bytes)> {
    let said = joined.members.iter().map(|member| {
        let said = subscription::Subscription::read(&member.metadata).expect("we have written it");
        (member.id.clone(), said)
    });
    let said: BTreeMap<String, subscription::Subscription> = said.collect();
    let mut given: BTreeMap<&String, Partitions> =
        said.keys().map(|id| (id, Partitions::default())).collect();
    for (name, count) in &world.topics.0 {
        let topic = MemoryTopics::id_of(name);
        let readers: Vec<&String> =
            said.iter().filter(|(_, it)| it.topics.contains(name)).map(|(id, _)| id).collect();
        for number in (0..*count).filter(|_| !readers.is_empty()) {
            let partition = PartitionIndex(number);
            let reader = readers[usize::try_from(number).unwrap() % readers.len()];
            let owner = said.iter().find(|(_, it)| {
                is_cooperative && it.owned(&world.topics).contains(topic, partition)
            });
            if owner.is_none_or(|(owner, _)| owner == reader) {
                given.get_mut(reader).unwrap().insert(topic, partition);
            }
        }
    }
    let given = given.into_iter();
    given.map(|(id, it)| (id.clone(), assignment_of(&world.topics, &it))).collect()
}

/// As Kafka's consumers send it.
pub(in crate::group) fn assignment_of(topics: &MemoryTopics, partitions: &Partitions) -> Bytes {
    subscription::Subscription::default().answer(partitions, topics)
}

pub(in crate::group) fn read_assignment(topics: &MemoryTopics, bytes: &[u8]) -> Partitions {
    subscription::Assignment::read(bytes).expect("an assignment").partitions(topics)
}
