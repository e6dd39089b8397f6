-- Every pair of ids with the group in which it is decided whose it is: the pairs of a device; for those without a
-- device the user alone, or all users whom aliases lead from or to.
with identities as (

    select * from {{ ref('int_identities') }}

),

aliases as (

    select * from {{ ref('int_aliases') }}

),

-- What the aliases say of an id, as one number; null for an id that others lead to.
aliased as (

    select
        previous_id as user_id,
        {{ sum_of_hashes(hash64_of_all(['user_id', 'known_from', 'known_to'])) }} as aliases_key
    from aliases
    group by previous_id

),

in_aliases as (

    select user_id from aliased
    union distinct
    select user_id from aliases

),

final as (

    select
        identities.pair_key,
        identities.user_key,
        identities.device_key,
        identities.user_id,
        identities.anonymous_id,
        identities.first_seen_at,
        identities.first_seen_on,
        case
            when identities.device_key is not null then identities.device_key
            when in_aliases.user_id is not null then 0
            else identities.user_key
        end as group_key,
        {{ hash64_of_all([
            'identities.pair_key', 'identities.first_seen_at', 'identities.first_seen_on', 'aliased.aliases_key',
        ]) }} as row_key
    from identities
    left join aliased
        on coalesce(identities.user_id, 'anon:' || identities.anonymous_id) = aliased.user_id
    left join in_aliases
        on identities.user_id = in_aliases.user_id

)

select * from final
