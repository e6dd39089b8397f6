-- The ids on all rows of all collectors. Rejected rows are among them: to look for what rejects a row would read
-- more columns than the ids, and who looks up an id does not mind others beside it.
{% for collector in var('collectors') %}
select
    user_id,
    anonymous_id
from {{ ref('base_' ~ collector ~ '__events') }}
{% if not loop.last %}union all{% endif %}
{% endfor %}
