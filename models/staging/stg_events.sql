-- The usable rows of all collectors (vars.collectors), in the columns of the event contract.
{% for collector in var('collectors') %}
select
    event_id,
    event_name,
    event_at,
    received_at,
    user_id,
    anonymous_id,
    session_id,
    platform,
    device_type,
    os,
    country,
    language,
    channel,
    page_path,
    referrer,
    item_category,
    search_query,
    quantity,
    revenue,
    currency,
    properties,
    source_file,
    {{ stored_day_of('stg_' ~ collector ~ '__events') }} as stored_day
from {{ ref('stg_' ~ collector ~ '__events') }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
