-- What later models know by a hash, in words: the ids and traits on all rows of all collectors. Rejected rows are among
-- them: to look for what rejects a row would read more columns than these, and who looks up a hash does not mind.
{% for collector in var('collectors') %}
select
    user_id,
    anonymous_id,
    country,
    language,
    channel,
    device_type,
    source_file,
    {{ stored_day_of('base_' ~ collector ~ '__events') }} as stored_day
from {{ ref('base_' ~ collector ~ '__events') }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
