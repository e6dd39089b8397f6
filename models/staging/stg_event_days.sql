-- Which days the events of all collectors are of, where they are to be found, and a text for each day that changes when
-- its events do.
{% for collector in var('collectors') %}
select
    '{{ collector }}' as collector,
    source_file,
    event_date,
    day_version
from {{ ref('stg_' ~ collector ~ '__event_days') }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
