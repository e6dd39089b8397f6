-- Who is who: every pair of user_id and anonymous_id that was seen on an event, and since when.
-- The half hours know the pairs by their hashes; the texts behind the hashes take a narrow pass of their own, over all
-- that was sent: ids that no half hour has are not looked for.
with pairs as (

    select
        pair_key,
        user_key,
        device_key,
        min(first_event_at) as first_seen_at,
        min(event_date) as first_seen_on
    from {{ ref('int_half_hours') }}
    group by pair_key, user_key, device_key

),

users as (

    select
        user_id,
        {{ hash64('user_id') }} as user_key
    from {{ ref('stg_descriptors') }}
    where user_id is not null
    group by user_id

),

devices as (

    select
        anonymous_id,
        {{ hash64('anonymous_id') }} as device_key
    from {{ ref('stg_descriptors') }}
    where anonymous_id is not null
    group by anonymous_id

),

final as (

    select
        pairs.pair_key,
        pairs.user_key,
        pairs.device_key,
        users.user_id,
        devices.anonymous_id,
        pairs.first_seen_at,
        pairs.first_seen_on
    from pairs
    left join users
        on pairs.user_key = users.user_key
    left join devices
        on pairs.device_key = devices.device_key

)

select * from final
