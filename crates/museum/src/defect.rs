//! The defects, by what they are about.
//!
//! Each says what is wrong, and who finds it: the simulator's checkers and invariants by their
//! names. A finding by somebody else does not count, least of all a panic.

/// What a defect is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Versions, and the replacement of members by members of another one.
    Upgrade,
    /// Views, recovery and the order itself.
    Group,
    /// What clients are told.
    Clients,
}

impl About {
    /// In a table.
    pub fn word(self) -> &'static str {
        match self {
            About::Upgrade => "upgrades",
            About::Group => "the group",
            About::Clients => "clients",
        }
    }
}

macro_rules! defects {
    ($($name:ident: $about:ident, $what:literal, [$($finder:literal),+];)*) => {
        /// One mistake.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Defect {
            $(#[doc = $what] $name,)*
        }

        impl Defect {
            /// All of them.
            pub const ALL: &'static [Defect] = &[$(Defect::$name,)*];

            /// As the code calls it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Defect::$name => stringify!($name),)*
                }
            }

            /// What is wrong.
            pub fn what(self) -> &'static str {
                match self {
                    $(Defect::$name => $what,)*
                }
            }

            /// What it is about.
            pub fn about(self) -> About {
                match self {
                    $(Defect::$name => About::$about,)*
                }
            }

            /// The checkers that find it, whichever comes first.
            pub fn finders(self) -> &'static [&'static str] {
                match self {
                    $(Defect::$name => &[$($finder,)+],)*
                }
            }
        }
    };
}

defects! {
    OldFormatReadAsNew: Upgrade,
        "A state in the predecessor's format is read as one in the joiner's own.",
        ["transfer"];
    TwoTurnsAtOnce: Upgrade,
        "One member more than allowed thinks that it is its turn.",
        ["invariants"];
    YoungestGoesFirst: Upgrade,
        "The turn goes to the youngest old member.",
        ["invariants"];
    ViewsNotEvaluated: Upgrade,
        "Whose turn it is, is not asked again once a successor is in.",
        ["upgrade"];
    EldestIsTriggeredAlone: Upgrade,
        "An upgrade request triggers only the eldest old member.",
        ["upgrade"];
    ActivatedUnready: Upgrade,
        "The new version becomes effective before the last successor has caught up.",
        ["invariants"];
    RecoveryGoesBack: Upgrade,
        "Recovery starts the old version although the new one has a member.",
        ["invariants"];
    MinimalIgnored: Upgrade,
        "A turn starts although too few members would be left serving.",
        ["invariants", "availability"];
    HandOverLeftOut: Upgrade,
        "The leader of record takes its turn while it leads.",
        ["invariants"];
    SecondUpgradeAccepted: Upgrade,
        "A second upgrade takes the place of one that runs.",
        ["invariants", "upgrade"];
    AttemptsWithoutBound: Upgrade,
        "A version that cannot start is tried for ever.",
        ["upgrade"];
    LastOldReleased: Upgrade,
        "The last old member goes before the new version is effective.",
        ["invariants"];
    SwapTakesAnother: Upgrade,
        "A successor takes the vote of the eldest member, not of its predecessor.",
        ["invariants"];
    PromotedWithoutState: Upgrade,
        "A joiner becomes a member before it has the group's state.",
        ["transfer"];
    RemovedMemberStays: Upgrade,
        "A member that its successor has replaced runs on for ever.",
        ["availability"];
    ActivationOneApart: Upgrade,
        "Members of the new version begin with its behaviour one position early.",
        ["order"];
    BehavesAsNewEarly: Upgrade,
        "A joiner of the new version behaves as it before the activation.",
        ["transfer", "replies"];
    OldMemberGoesOn: Upgrade,
        "An old member executes and answers after the activation has stopped it.",
        ["replies"];
    NewAnswersEarly: Upgrade,
        "Members of the new version answer clients while old ones could.",
        ["invariants"];
    HolderAnswers: Upgrade,
        "A member goes on taking requests while its turn runs.",
        ["invariants"];
    DoneTooEarly: Upgrade,
        "An upgrade is called done while a seat still has an old member.",
        ["invariants", "upgrade"];
    ReplyCacheNotTransferred: Upgrade,
        "A joiner gets the state without the replies that were kept for retries.",
        ["replies", "transfer"];
    StateOneEarlier: Upgrade,
        "A state is given away without the position that it is said to be of.",
        ["transfer"];
    ViewBeforeItsDeliveries: Group,
        "A view is installed before what was ordered ahead of it.",
        ["order"];
    JoinerGoesFirst: Group,
        "A joiner stands before its elders in the view.",
        ["views"];
    RemovedMemberCounts: Group,
        "A member that is out still counts in the majority.",
        ["views"];
    RecoveryStartsTwo: Group,
        "A second replica is started for a seat while the first is on its way.",
        ["invariants"];
    SameHostAgain: Group,
        "A seat is tried on the same host again, whatever failed there.",
        ["availability"];
    SurvivorTooSoon: Group,
        "A survivor goes on although the dead could have decided without it.",
        ["incarnations", "order", "replies"];
    LossUnnoticed: Group,
        "A seat that was filled once is not filled again.",
        ["availability", "memory"];
    ShrinksWhileVacant: Group,
        "A member that is not wanted goes although a wanted seat is vacant.",
        ["views"];
    ReturnTakenForDeath: Group,
        "A daemon takes a replica that registers again for a new one, and the old one for dead.",
        ["views"];
    SilenceTakenForDeath: Group,
        "A member that is only silent loses its vote at once.",
        ["views"];
    FloorPastAPin: Group,
        "The log is forgotten past what a joiner still needs.",
        ["availability"];
    TimeGoesBack: Group,
        "The group's time is the wall clock of whoever leads.",
        ["order"];
    EldestAnswersAlone: Clients,
        "Only the eldest of the members that could take requests does.",
        ["invariants"];
    ForwardsDropped: Clients,
        "A leader orders only what its own clients ask.",
        ["memory", "availability"];
    RequestsForgottenAtElection: Clients,
        "What a change of leader dropped is not ordered again.",
        ["memory"];
    RetryExecutedTwice: Clients,
        "A request that comes again is executed again.",
        ["replies", "transfer"];
    ReadBeforeItsPosition: Clients,
        "A read is served before the position that it waits for is applied.",
        ["replies"];
    ExpiryUnordered: Clients,
        "A joiner forgets sessions by its own memory of when they were heard.",
        ["replies", "transfer"];
}
