-- The usable rows of all collectors.
{% for collector in var('collectors') %}
    select * from {{ ref('stg_' ~ collector ~ '__events') }}
    {% if not loop.last %}union all{% endif %}
{% endfor %}
