//! Tests of the machine by transcripts.
