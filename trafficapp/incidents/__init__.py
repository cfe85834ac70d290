"""Incidents: which reports are of one, how one lives, and what it does to roads. Nothing here knows Faust or a client.

==============  ================================================================================
`severity`      classes, and severities of kinds
`incident`      what is remembered of one incident, and its steps
`nearby`        which incidents are near a place, whatever their number
`known`         all that are remembered, with their rows
`rules`         all incidents of a city: merging, reopening, expiry, what operators do
`wording`       alerts about them
`effects`       edges of the road graph that they close or slow
`units`         who gets there first
`feeds`         the declarations
==============  ================================================================================
"""
