-- Whose each pair of ids is, and from which as-of date to which: until a device is identified it is a person of its
-- own. Stored: groups of pairs are done again when something about them is new (int_identity_states).
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    pre_hook="{% if is_incremental() %}{{ delete_stale_rows(none_of(['group_key', 'state_key'], 'select group_key, '
        ~ 'state_key from ' ~ ref('int_identity_states'))) }}{% endif %}",
) }}

with states as (

    select * from {{ ref('int_identity_states') }}
    {%- if is_incremental() %}
    where
        {{ none_of(
            ['group_key', 'state_key'], 'select known.group_key, known.state_key from ' ~ this ~ ' as known'
        ) }}
    {%- endif %}

),

identities as (

    select
        identity_groups.*,
        states.state_key
    from {{ ref('int_identity_groups') }} as identity_groups
    inner join states
        on identity_groups.group_key = states.group_key

),

aliases as (

    select * from {{ ref('int_aliases') }}

),

identified as (

    select
        device_key,
        user_id,
        first_seen_on,
        row_number() over (partition by device_key order by first_seen_at, user_id) as nth_user
    from identities
    where user_id is not null and device_key is not null

),

device_owners as (

    -- A device's anonymous past belongs to the first user that it was ever identified as, from that day on.
    select
        device_key,
        user_id,
        first_seen_on as known_from
    from identified
    where nth_user = 1

),

named as (

    select
        pair_key,
        user_key,
        device_key,
        group_key,
        state_key,
        user_id,
        first_seen_on as known_from,
        {{ end_of_time() }} as known_to
    from identities
    where user_id is not null

    union all

    select
        identities.pair_key,
        identities.user_key,
        identities.device_key,
        identities.group_key,
        identities.state_key,
        'anon:' || identities.anonymous_id as user_id,
        identities.first_seen_on as known_from,
        coalesce(device_owners.known_from, {{ end_of_time() }}) as known_to
    from identities
    left join device_owners
        on identities.device_key = device_owners.device_key
    where
        identities.user_id is null
        and (device_owners.known_from is null or identities.first_seen_on < device_owners.known_from)

    union all

    select
        identities.pair_key,
        identities.user_key,
        identities.device_key,
        identities.group_key,
        identities.state_key,
        device_owners.user_id,
        greatest(identities.first_seen_on, device_owners.known_from) as known_from,
        {{ end_of_time() }} as known_to
    from identities
    inner join device_owners
        on identities.device_key = device_owners.device_key
    where identities.user_id is null

),

first_aliased as (

    select
        previous_id,
        min(known_from) as known_from
    from aliases
    group by previous_id

),

of_people as (

    -- By the id itself until it is aliased ...
    select
        named.pair_key,
        named.user_key,
        named.device_key,
        named.group_key,
        named.state_key,
        named.user_id,
        named.known_from,
        least(named.known_to, coalesce(first_aliased.known_from, {{ end_of_time() }})) as known_to
    from named
    left join first_aliased
        on named.user_id = first_aliased.previous_id
    where first_aliased.known_from is null or named.known_from < first_aliased.known_from

    union all

    -- ... and by where that leads from then on.
    select
        named.pair_key,
        named.user_key,
        named.device_key,
        named.group_key,
        named.state_key,
        aliases.user_id,
        greatest(named.known_from, aliases.known_from) as known_from,
        least(named.known_to, aliases.known_to) as known_to
    from named
    inner join aliases
        on
            named.user_id = aliases.previous_id
            and named.known_from < aliases.known_to
            and named.known_to > aliases.known_from

),

keyed as {{ once() }} (

    select
        pair_key,
        user_key,
        device_key,
        group_key,
        state_key,
        user_id,
        {{ hash64('user_id') }} as person_key,
        -- Events without a device are on one of their own: 0.
        coalesce(device_key, 0) as device,
        known_from,
        known_to
    from of_people

),

turns as (

    -- The as-of dates on which a person gains or loses a pair of ids on a device.
    select
        person_key,
        device,
        known_from as turn
    from keyed
    union distinct
    select
        person_key,
        device,
        known_to as turn
    from keyed
    where known_to < {{ end_of_time() }}

),

versions as (

    select
        person_key,
        device,
        turn as known_from,
        lead(turn, 1, {{ end_of_time() }}) over (partition by person_key, device order by turn) as known_to
    from turns

),

final as (

    -- One row a pair and version, so that all pairs of a person on a device have the same dates: sessions are made of
    -- what they did together.
    select
        keyed.pair_key,
        keyed.user_key,
        keyed.device_key,
        keyed.group_key,
        keyed.state_key,
        keyed.user_id,
        keyed.person_key,
        versions.known_from,
        versions.known_to,
        {{ hash64_of_all([
            'keyed.person_key',
            'keyed.device',
            'versions.known_from',
            'versions.known_to',
            sum_of_hashes('keyed.pair_key')
            ~ ' over (partition by keyed.person_key, keyed.device, versions.known_from)',
        ]) }} as version_key
    from keyed
    inner join versions
        on
            keyed.person_key = versions.person_key
            and keyed.device = versions.device
            and keyed.known_from <= versions.known_from
            and keyed.known_to > versions.known_from

)

select * from final
